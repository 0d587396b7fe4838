//! The law of the journal, on a disk that lies.
//!
//! Whatever the disk loses, and whenever: all that was acknowledged is there, nothing is
//! invented, recovery ends, and recovering again gives the same.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::model::{Op, World, tiny};
use super::sim::{Rng, SimDisk};
use crate::journal::lease::Settlement;
use crate::telemetry::metrics::Metrics;

const CASES: u64 = 10_000;

fn random_op(rng: &mut Rng, size: Option<u16>) -> Op {
    let n = rng.below(8) as u8;
    let count = rng.below(12) as u8 + 1;
    match rng.below(24) {
        0..=8 => {
            let calls = if size.is_some() { 1 } else { rng.below(3) + 1 };
            let one = |rng: &mut Rng| {
                let records = if size.is_some() { 1 } else { rng.below(4) + 1 };
                let payload = |rng: &mut Rng| size.unwrap_or(rng.below(900) as u16);
                let sizes = (0..records).map(|_| payload(rng)).collect();
                (rng.below(8) as u8, sizes)
            };
            Op::Append((0..calls).map(|_| one(rng)).collect())
        }
        9..=11 => Op::Lease(n, count),
        12..=14 => Op::Settle(n, count, Settlement::Delivered),
        15 => Op::Settle(n, count, Settlement::Dead),
        16 => Op::Settle(n, count, Settlement::Returned),
        17 | 18 => Op::Flush,
        19 => Op::Tidy,
        20 | 21 => Op::Evacuate,
        22 => Op::Roll,
        _ => Op::Wait(rng.below(4000) as u16),
    }
}

/// Leaves spares on the disk that are full of whole commits of a former life, with the same
/// numbers and sizes the next life may use.
fn former_life(disk: &SimDisk, rng: &mut Rng, size: Option<u16>, metrics: &Metrics) {
    let mut world = World::new(disk.clone(), tiny(64), 1_000_000_000, metrics.clone());
    world.open().unwrap();
    for _ in 0..rng.below(60) {
        let size = size.unwrap_or(rng.below(900) as u16);
        world.apply(&Op::Append(vec![(rng.below(8) as u8, vec![size])]));
    }
    world.stop();
    disk.kill();
    disk.make_spares();
}

fn case(seed: u64, metrics: &Metrics) {
    let mut rng = Rng::new(seed);
    let disk = SimDisk::new(seed ^ 0x5eed);
    // records of one size make old and new commits line up
    let size = rng.once_in(2).then(|| rng.below(400) as u16 + 20);
    if rng.once_in(2) {
        former_life(&disk, &mut rng, size, metrics);
    }
    let mut world = World::new(disk.clone(), tiny(4 + rng.below(30)), 0, metrics.clone());
    for _ in 0..=rng.below(4) {
        if rng.once_in(4) {
            disk.set_capacity(disk.used() + 4096 * rng.below(4));
        }
        if rng.once_in(4) {
            disk.fail_sync_in(Some(rng.below(60)));
        }
        if !rng.once_in(4) {
            disk.lose_power_in(Some(rng.below(200)));
        }
        if world.open().is_ok() {
            for _ in 0..rng.below(60) {
                let op = random_op(&mut rng, size);
                world.apply(&op);
                if world.poisoned() || disk.is_off() {
                    break;
                }
            }
        }
        world.stop();
        // a process that dies leaves what it wrote to be seen; the power may go later
        if disk.is_off() || rng.once_in(2) {
            disk.power_cycle();
        } else {
            disk.lose_power_in(None);
            disk.fail_sync_in(None);
            disk.kill();
        }
    }
    disk.set_capacity(u64::MAX);
    world.open().unwrap();
    let first = world.look();
    world.stop();
    disk.power_cycle();
    world.open().unwrap();
    assert_eq!(world.look(), first, "recovering again gives the same");
    world.stop();
    disk.kill();
    world.open().unwrap();
    assert_eq!(world.look(), first, "and again");
}

#[test]
fn whatever_the_disk_loses_nothing_acknowledged_is_lost_and_nothing_invented() {
    if let Ok(seed) = std::env::var("LYING_SEED") {
        return case(seed.parse().unwrap(), &Metrics::new().unwrap());
    }
    // the same seeds every time: a failure is a failure for everybody
    let threads: Vec<_> = (0..2)
        .map(|part| {
            std::thread::spawn(move || {
                let metrics = Metrics::new().unwrap();
                let fails =
                    |seed: &u64| catch_unwind(AssertUnwindSafe(|| case(*seed, &metrics))).is_err();
                (0..CASES).filter(|seed| seed % 2 == part).find(fails)
            })
        })
        .collect();
    for thread in threads {
        let failed = thread.join().unwrap();
        if let Some(seed) = failed {
            panic!("to see it again: LYING_SEED={seed}");
        }
    }
}
