//! The log when something is short or broken: bounds, a full disk, failed syncs, damage, and a
//! lane that is held.

use std::sync::Arc;

use super::file::Name;
use super::frame::{HEADER_BYTES, SegmentHeader};
use super::locked;
use super::model::{ALL, Op, World, lane, tiny};
use super::sim::SimDisk;
use crate::journal::lease::{Settlement, settle_all};
use crate::journal::{AppendError, Health, Limit, OpenError, Settings, open_parts};
use crate::telemetry::metrics::Metrics;
use crate::time::UnixMs;

fn world(settings: Settings) -> World {
    let metrics = Metrics::new().unwrap();
    let mut world = World::new(SimDisk::new(7), settings, 0, metrics);
    world.open().unwrap();
    world
}

fn health(world: &World) -> Health {
    *world.parts.as_ref().unwrap().shared.health.borrow()
}

fn fill(world: &mut World) -> AppendError {
    for _ in 0..10_000 {
        if let Err(error) = world.append_one(0, 500) {
            return error;
        }
        world.apply(&Op::Tidy);
    }
    panic!("it never fills");
}

fn disk_bytes(world: &World) -> u64 {
    let shared = &world.parts.as_ref().unwrap().shared;
    locked(&shared.index).disk_bytes() + shared.spares.bytes()
}

#[test]
fn many_appends_share_one_sync() {
    let mut world = world(Settings {
        segment_bytes: 1 << 20,
        ..tiny(4096)
    });
    let before = world.disk.syncs();
    let calls: Vec<_> = (0..100).map(|n| (n % 8, vec![300, 300])).collect();
    world.append(&calls);
    assert_eq!(world.count(), 200);
    assert_eq!(world.disk.syncs() - before, 1);
    world.check();
}

#[test]
fn the_sizes_are_shown_from_the_start() {
    let mut world = world(tiny(100));
    for _ in 0..30 {
        world.append_one(0, 500).unwrap();
    }
    let shown = |world: &World| {
        let metrics = &world.metrics;
        let (bytes, segments) = (&metrics.journal_disk_bytes, &metrics.journal_segments);
        (bytes.get() as u64, segments.get() as u64)
    };
    world.stop();
    world.disk.kill();
    world.metrics = Metrics::new().unwrap();
    assert_eq!(shown(&world), (0, 0));
    world.open().unwrap();
    let shared = world.parts.as_ref().unwrap().shared.clone();
    let segments = locked(&shared.index).depth().segments;
    assert!(segments > 4);
    assert_eq!(shown(&world), (disk_bytes(&world), segments));
    assert_eq!(world.metrics.journal_records.get(), 30);
}

#[test]
fn a_walk_reads_what_can_be_read_of_a_segment_that_rots() {
    let mut world = world(Settings {
        segment_bytes: 64 << 10,
        ..tiny(4096)
    });
    for _ in 0..40 {
        world.append_one(0, 300).unwrap();
    }
    let seen = |world: &World| {
        let mut seen = 0;
        let shared = &world.parts.as_ref().unwrap().shared;
        shared
            .walk(&|_| true, &mut |one| {
                assert_eq!(one.lane, &lane(0));
                seen += 1;
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        seen
    };
    assert_eq!(seen(&world), 40);
    let name = Name::Segment(1).to_string();
    // in the payloads of two records
    for at in [5000, 9000] {
        world.disk.damage(&name, at, 0x40);
    }
    assert_eq!(seen(&world), 38);
}

#[test]
fn a_full_journal_resumes_at_nine_tenths() {
    let mut world = world(tiny(30));
    assert_eq!(fill(&mut world), AppendError::Full(Limit::MaxBytes));
    assert_eq!(health(&world), Health::Full(Limit::MaxBytes));
    assert!(disk_bytes(&world) <= world.settings.max_bytes);
    let max = world.settings.max_bytes;
    while world.append_one(0, 10).is_err() {
        world.lease(0, 3);
        world.settle(0, 3, Settlement::Delivered);
        world.apply(&Op::Tidy);
        let shared = &world.parts.as_ref().unwrap().shared;
        let used = locked(&shared.index).disk_bytes();
        assert_eq!(shared.full().is_none(), used <= max / 10 * 9);
        assert!(world.count() > 0, "it resumes before it is empty");
    }
    assert_eq!(health(&world), Health::Ok);
    world.check();
}

#[test]
fn a_call_is_written_as_a_whole_or_not_at_all() {
    let mut taken = Vec::new();
    for records in 1..80 {
        let mut world = world(tiny(8));
        world.append(&[(0, vec![500; 10])]);
        world.append(&[(1, vec![600; records])]);
        let more = world.count() - 10;
        assert!(more == 0 || more == records, "{more} of {records}");
        assert!(disk_bytes(&world) <= world.settings.max_bytes);
        world.check();
        // what a refused call had left behind would be an invented event here
        world.apply(&Op::Kill);
        assert_eq!(world.count(), 10 + more);
        taken.push(more > 0);
    }
    // the ten fill one segment and most of another; five large ones fill each of the other six,
    // and one is what the second has room for
    let fit = taken.iter().filter(|taken| **taken).count();
    assert!(taken.is_sorted_by(|a, b| a >= b), "the larger ones do not");
    assert_eq!(fit, 6 * 5 + 1);
}

#[test]
fn a_call_too_large_below_nine_tenths_keeps_out_no_other() {
    let mut world = world(tiny(8));
    world.append(&[(0, vec![500; 10])]);
    world.append(&[(1, vec![600; 60])]);
    assert_eq!(world.count(), 10);
    assert_eq!(health(&world), Health::Ok);
    // in one line: those before and behind it are not touched
    world.append(&[(0, vec![100]), (1, vec![600; 60]), (2, vec![100; 2])]);
    assert_eq!(world.count(), 13);
    world.check();
}

#[test]
fn a_call_too_large_above_nine_tenths_is_shown_until_there_is_room() {
    let mut world = world(tiny(8));
    while locked(&world.parts.as_ref().unwrap().shared.index).disk_bytes() < 8 * 4096 {
        assert_eq!(health(&world), Health::Ok);
        world.append_one(0, 500).unwrap();
    }
    let before = world.count();
    world.append(&[(1, vec![600; 7])]);
    assert_eq!(world.count(), before);
    assert_eq!(health(&world), Health::Full(Limit::MaxBytes));
    world.apply(&Op::Tidy);
    assert!(world.append_one(0, 10).is_err());
    while world.count() > before / 2 {
        world.lease(0, 20);
        world.settle(0, 20, Settlement::Delivered);
    }
    world.apply(&Op::Tidy);
    assert_eq!(health(&world), Health::Ok);
    world.append(&[(1, vec![600; 7])]);
    world.check();
    world.apply(&Op::Kill);
    world.check();
}

#[test]
fn a_full_disk_refuses_a_call_that_needs_one_more_segment_before_its_first_commit() {
    let mut world = world(tiny(1000));
    world.disk.set_capacity(world.disk.used());
    world.append(&[(0, vec![500; 10])]);
    assert_eq!(world.count(), 0);
    assert_eq!(health(&world), Health::Full(Limit::Disk));
    world.disk.set_capacity(u64::MAX);
    world.apply(&Op::Kill);
    assert_eq!(world.count(), 0);
    world.append(&[(0, vec![500; 10])]);
    assert_eq!(world.count(), 10);
}

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let mut world = world(tiny(1000));
    world.disk.set_capacity(world.disk.used() + 10 * 4096);
    assert_eq!(fill(&mut world), AppendError::Full(Limit::Disk));
    assert_eq!(health(&world), Health::Full(Limit::Disk));
    // all that was acknowledged can be leased and settled, though the notes find no room
    world.check();
    world.lease(0, 1);
    world.settle(0, 1, Settlement::Delivered);
    world.apply(&Op::Flush);
    assert!(!world.poisoned());
    world.apply(&Op::Tidy);
    assert!(world.append_one(0, 10).is_err());
    // also after a restart
    world.apply(&Op::Kill);
    assert!(world.append_one(0, 10).is_err());
    world.check();

    world.disk.set_capacity(u64::MAX);
    world.apply(&Op::Tidy);
    world.append_one(0, 10).unwrap();
    assert_eq!(health(&world), Health::Ok);
    world.apply(&Op::Kill);
    world.check();
}

#[test]
fn space_also_returns_by_delivering() {
    let mut world = world(tiny(1000));
    world.disk.set_capacity(world.disk.used() + 10 * 4096);
    assert_eq!(fill(&mut world), AppendError::Full(Limit::Disk));
    while world.count() > 0 {
        world.lease(0, 20);
        world.settle(0, 20, Settlement::Delivered);
    }
    world.apply(&Op::Tidy);
    world.append_one(0, 10).unwrap();
}

#[test]
fn a_failed_sync_poisons_and_is_not_tried_again() {
    let mut world = world(tiny(1000));
    world.append_one(0, 100).unwrap();
    world.disk.fail_sync_in(Some(0));
    assert_eq!(world.append_one(0, 100), Err(AppendError::Poisoned));
    assert_eq!(health(&world), Health::Poisoned);
    assert_eq!(world.metrics.journal_poisoned.get(), 1);
    let syncs = world.disk.syncs();
    assert_eq!(world.append_one(0, 100), Err(AppendError::Poisoned));
    world.apply(&Op::Tidy);
    assert_eq!(world.disk.syncs(), syncs);
    // what was there before can still be delivered
    world.lease(0, 1);
    world.settle(0, 1, Settlement::Delivered);
    assert_eq!(world.count(), 0);
    world.apply(&Op::Kill);
    world.append_one(0, 100).unwrap();
}

#[test]
fn a_damaged_segment_gives_what_can_be_read_and_is_set_aside() {
    let mut world = world(tiny(1000));
    for _ in 0..40 {
        world.append_one(0, 300).unwrap();
    }
    world.stop();
    world.disk.kill();
    let name = Name::Segment(1).to_string();
    // in the payload of the second record
    world.disk.damage(&name, HEADER_BYTES as usize + 500, 0x40);
    let (shared, mut writer, mut keeper) = open_parts(
        world.settings.clone(),
        Arc::new(world.disk.clone()),
        world.clock.clone(),
        &world.metrics,
    )
    .unwrap();
    assert_eq!(world.metrics.journal_corrupt.get(), 1);
    assert_eq!(world.metrics.journal_recovered.get(), 39);
    // moved out at once, so that the rest of the file can be looked at
    world.clock.set(UnixMs(10_000));
    keeper.tidy();
    keeper.evacuate(&mut super::model::copy_with(&mut writer));
    let names = world.disk.names();
    assert!(names.contains(&Name::Corrupt(1).to_string()), "{names:?}");
    assert!(!names.contains(&name));
    let leases = shared.lease(&lane(0), ALL);
    assert_eq!(leases.len(), 39);
    assert!(leases.is_sorted_by_key(super::super::Lease::seq));
    settle_all(leases, Settlement::Delivered);
}

#[test]
fn a_record_that_rots_under_a_running_journal_is_lost_alone() {
    let mut world = world(tiny(1000));
    for _ in 0..5 {
        world.append_one(0, 300).unwrap();
    }
    let name = Name::Segment(1).to_string();
    world.disk.damage(&name, HEADER_BYTES as usize + 500, 0x40);
    let shared = world.parts.as_ref().unwrap().shared.clone();
    let leases = shared.lease(&lane(0), ALL);
    assert_eq!(leases.len(), 4);
    let depth = locked(&shared.index).depth();
    assert_eq!((depth.records, depth.leased, depth.lost), (4, 4, 1));
    assert_eq!(world.metrics.journal_records.get(), 4);
    settle_all(leases, Settlement::Delivered);
}

#[test]
fn another_format_version_is_refused_and_left_alone() {
    let mut world = world(tiny(1000));
    world.append_one(0, 300).unwrap();
    world.stop();
    world.disk.kill();
    let name = Name::Segment(1).to_string();
    let (version_at, crc_at) = (8, 48);
    let bytes = world.disk.content(&name);
    assert!(SegmentHeader::decode(&bytes).is_ok());
    let mut altered = bytes[..crc_at].to_vec();
    altered[version_at] ^= 2;
    let crcs = [crc32fast::hash(&bytes[..crc_at]), crc32fast::hash(&altered)];
    world.disk.damage(&name, version_at, 2);
    let difference = (crcs[0] ^ crcs[1]).to_le_bytes();
    for (at, mask) in difference.into_iter().enumerate() {
        world.disk.damage(&name, crc_at + at, mask);
    }
    let before = world.disk.content(&name);
    let refused = world.open();
    assert!(
        matches!(refused, Err(OpenError::Version { version: 3, .. })),
        "{refused:?}"
    );
    assert_eq!(world.disk.content(&name), before);
}

/// One event of the held lane beside five thousand of the busy one.
#[test]
fn a_held_lane_does_not_pin_the_disk() {
    const BUSY: u64 = 5000;
    let settings = Settings {
        segment_bytes: 16 << 10,
        ..tiny(4096)
    };
    let segment = settings.segment_bytes;
    let mut world = world(settings);
    let mut peak = 0;
    for round in 0..BUSY * 30 / 100 {
        if round % (BUSY / 100) == 0 {
            world.append(&[(2, vec![600])]);
        }
        world.append(&[(0, vec![100; 100])]);
        world.lease(0, 100);
        world.settle(0, 100, Settlement::Delivered);
        // a segment has time to empty by itself before it is evacuated
        world.apply(&Op::Wait(20_000));
        world.apply(&Op::Evacuate);
        world.apply(&Op::Wait(3000));
        world.apply(&Op::Evacuate);
        let shared = &world.parts.as_ref().unwrap().shared;
        let live = locked(&shared.index).live_bytes();
        let used = disk_bytes(&world);
        assert!(used <= 2 * live + 2 * segment, "{used} for {live} live");
        peak = peak.max(used);
    }
    assert_eq!(world.count(), 30);
    assert!(world.metrics.journal_evacuated.get() > 0);
    assert!(peak <= 2 * 30 * 700 + 2 * segment);
    world.check();
    world.apply(&Op::Kill);
    world.check();
}

#[test]
fn a_leased_record_moves_and_is_settled_where_it_went() {
    let mut world = world(tiny(1000));
    world.append(&[(2, vec![100, 100, 100])]);
    world.append(&[(0, vec![500; 30])]);
    world.lease(0, 30);
    world.settle(0, 30, Settlement::Delivered);
    // one leased, one returned, one never leased
    world.lease(2, 2);
    world.settle(1, 1, Settlement::Returned);
    world.apply(&Op::Wait(5000));
    world.apply(&Op::Evacuate);
    assert_eq!(world.metrics.journal_evacuated.get(), 3);
    world.check();
    world.settle(0, 1, Settlement::Delivered);
    world.check();
    world.apply(&Op::Reopen);
    assert_eq!(world.count(), 2);
    world.check();
}

#[test]
fn a_journal_full_of_remains_makes_itself_room() {
    let mut world = world(tiny(20));
    // in every segment one record is held
    let mut error = None;
    for _ in 0..1000 {
        world.append(&[(2, vec![100])]);
        for _ in 0..3 {
            if let Err(found) = world.append_one(0, 500) {
                error = Some(found);
            }
        }
        world.apply(&Op::Tidy);
        if error.is_some() {
            break;
        }
    }
    assert_eq!(error, Some(AppendError::Full(Limit::MaxBytes)));
    let before = world.count();
    while world.count() > before / 5 {
        let left = world.count();
        world.lease(0, 50);
        world.settle(0, 50, Settlement::Delivered);
        if world.count() == left {
            break;
        }
    }
    world.apply(&Op::Tidy);
    assert_eq!(health(&world), Health::Full(Limit::MaxBytes));
    world.apply(&Op::Evacuate);
    assert!(world.metrics.journal_evacuated.get() > 0);
    world.check();
    world.append_one(0, 500).unwrap();
    world.apply(&Op::Kill);
    world.check();
}
