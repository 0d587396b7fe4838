//! The law of the dead letters, on a disk that lies: what was appended is there, what was removed
//! is gone, and what was underway is one or the other, whole.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::journal::segment::sim::{Rng, SimDisk};

fn open(disk: &SimDisk, clock: &Clock, metrics: &Metrics) -> Result<DeadLetters, DeadError> {
    let settings = Settings {
        // files of 2,000 bytes: some seven letters
        max_bytes: 1 << 14,
        ..Settings::default()
    };
    DeadLetters::open(
        "/",
        settings,
        Arc::new(disk.clone()),
        clock.clone(),
        metrics,
    )
}

/// Ids by the name of their event; no name may come twice.
fn look(dead: &DeadLetters) -> BTreeMap<String, LetterId> {
    let letters = listed(dead, &all(), MAX_PAGE);
    let count = letters.len();
    assert_eq!(dead.count(), count as u64);
    let by_name: BTreeMap<_, _> = (letters.into_iter())
        .map(|letter| (letter.event_name, letter.id))
        .collect();
    assert_eq!(by_name.len(), count);
    by_name
}

fn case(seed: u64, metrics: &Metrics) {
    let mut rng = Rng::new(seed);
    let disk = SimDisk::new(seed ^ 0xdead);
    let clock = Clock::manual(T0);
    // what must be there, and what may be
    let mut sure: BTreeMap<String, Option<LetterId>> = BTreeMap::new();
    let mut maybe: BTreeSet<String> = BTreeSet::new();
    let mut n = 0;
    for _ in 0..4 {
        if !rng.once_in(4) {
            disk.lose_power_in(Some(rng.below(60)));
        }
        if rng.once_in(4) {
            disk.fail_sync_in(Some(rng.below(10)));
        }
        // one that opened while the power went may know but a part
        if let Ok(dead) = open(&disk, &clock, metrics)
            && !disk.is_off()
        {
            for _ in 0..rng.below(12) {
                // the power may go while the test looks
                let page = dead.list(&all(), None, MAX_PAGE).unwrap_or_default();
                for letter in page.letters {
                    if let Some(id) = sure.get_mut(&letter.event_name) {
                        assert_eq!(*id.get_or_insert(letter.id), letter.id);
                    }
                }
                let known = sure.iter();
                let known: Vec<(String, LetterId)> = known
                    .filter_map(|(name, id)| Some((name.clone(), (*id)?)))
                    .collect();
                let some: Vec<_> = known.into_iter().filter(|_| rng.once_in(3)).collect();
                // few enough that the bound purges none
                if sure.len() + maybe.len() < 30 && !rng.once_in(3) {
                    let names: Vec<String> = (0..=rng.below(4))
                        .map(|_| {
                            n += 1;
                            format!("e{n}")
                        })
                        .collect();
                    let letters: Vec<_> = names.iter().map(|name| letter(1, name, T0)).collect();
                    maybe.extend(names.iter().cloned());
                    if dead.append(&letters).is_ok() {
                        for name in names {
                            maybe.remove(&name);
                            sure.insert(name, None);
                        }
                    }
                } else {
                    let ids: Vec<LetterId> = some.iter().map(|(_, id)| *id).collect();
                    for (name, _) in &some {
                        sure.remove(name);
                        maybe.insert(name.clone());
                    }
                    if let Ok(removed) = dead.remove(&ids) {
                        assert_eq!(removed, ids.len() as u64);
                        for (name, _) in &some {
                            maybe.remove(name);
                        }
                    }
                }
                if disk.is_off() {
                    break;
                }
            }
        }
        if disk.is_off() || rng.once_in(2) {
            disk.power_cycle();
        } else {
            disk.lose_power_in(None);
            disk.fail_sync_in(None);
            disk.kill();
        }
        // the look is a life of its own, on a sound disk
        let dead = open(&disk, &clock, metrics).unwrap();
        let seen = look(&dead);
        for (name, id) in &sure {
            let seen = seen.get(name);
            assert!(seen.is_some(), "{name} was promised");
            assert!(
                id.is_none() || *id == seen.copied(),
                "{name} has its id for life"
            );
        }
        for (name, id) in &seen {
            assert!(sure.contains_key(name) || maybe.contains(name), "{name}");
            let shown = dead.show(*id, View::Clear).unwrap().unwrap();
            let event: Value = serde_json::from_str(shown.event.get()).unwrap();
            assert_eq!(event["user_data"]["fbp"], "fb.1.1.1");
        }
        let drafts = disk.names().iter().filter(|name| is_draft(name)).count();
        assert_eq!(drafts, 0);
        drop(dead);
        disk.kill();
    }
}

#[test]
fn letters_are_there_or_gone_whatever_the_disk_loses() {
    let metrics = Metrics::new().unwrap();
    for seed in 0..400 {
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(seed, &metrics)));
        assert!(ran.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_full_disk_refuses_and_leaves_nothing_behind() {
    let metrics = Metrics::new().unwrap();
    let disk = SimDisk::new(1);
    let clock = Clock::manual(T0);
    let dead = open(&disk, &clock, &metrics).unwrap();
    disk.set_capacity(100);
    for _ in 0..5 {
        let error = dead.append(&[letter(1, "a", T0)]).unwrap_err();
        assert_eq!(error.code(), "dead_full");
    }
    assert_eq!(disk.names(), [""; 0]);
    disk.set_capacity(u64::MAX);
    dead.append(&[letter(1, "a", T0), letter(1, "b", T0)])
        .unwrap();

    // no room to rewrite a file; to remove one there always is
    disk.set_capacity(disk.used());
    let a = look(&dead)["a"];
    assert_eq!(dead.remove(&[a]).unwrap_err().code(), "dead_full");
    assert_eq!(look(&dead).len(), 2);
    assert_eq!(dead.purge(&all(), false).unwrap(), 2);
    assert_eq!(disk.names(), [""; 0]);
}

#[test]
fn removing_many_letters_of_a_file_writes_it_once() {
    let metrics = Metrics::new().unwrap();
    let disk = SimDisk::new(1);
    let clock = Clock::manual(T0);
    let settings = Settings::default();
    let dead = DeadLetters::open("/", settings, Arc::new(disk.clone()), clock, &metrics).unwrap();
    let letters: Vec<_> = (0..500).map(|n| letter(1, &format!("e{n}"), T0)).collect();
    dead.append(&letters).unwrap();
    let ids: Vec<_> = look(&dead).into_values().take(400).collect();
    let before = disk.syncs();
    assert_eq!(dead.remove(&ids).unwrap(), 400);
    assert_eq!(disk.syncs() - before, 1);
    assert_eq!(look(&dead).len(), 100);
}
