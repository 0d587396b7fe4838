//! Dead letters: kept over a restart, redriven, delivered once, and in the books all the way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use capigate::journal::segment::disk::RealDisk;
use capigate::redrive::Request;
use capigate::sandbox::Fault;
use capigate::time::Clock;

use crate::harness::{Gateway, PIXEL, purchases};

#[tokio::test(flavor = "multi_thread")]
async fn what_died_of_an_outage_is_redriven_while_meta_still_takes_it() {
    let start = Clock::Real.now();
    let clock = Clock::manual(start);
    let mut gateway = Gateway::with_disk(|_| (), Arc::new(RealDisk), clock).await;
    gateway.sandbox.add_fault(Fault::status(503).forever());
    gateway.post(purchases("old", 3)).await;
    gateway
        .until("a failed batch", async |gateway| {
            (!gateway.sandbox.ledger().batches.is_empty()).then_some(())
        })
        .await;
    // past what is tried unasked, within what Meta takes
    let hours = 6 * 24 + 20;
    gateway.clock.set(start.plus(Duration::from_hours(hours)));
    gateway.drained().await;
    assert_eq!(gateway.metric("capigate_dead_total").await, 3);
    gateway.books_balance().await;
    gateway.down().await;
    gateway.sandbox.clear_faults();
    gateway.up().await;
    assert_eq!(gateway.metric("capigate_dead_letters").await, 3);

    let pixels = HashSet::from([PIXEL.parse().unwrap()]);
    let redrive = gateway.running().redrive().clone();
    let dry = Request {
        dry_run: true,
        ..Request::default()
    };
    let report = redrive.run(dry, pixels.clone()).await;
    assert_eq!((report.matched, report.would_redrive), (3, 3));
    let report = redrive.run(Request::default(), pixels).await;
    assert_eq!((report.redriven, report.stopped), (3, None), "{report:?}");
    gateway.delivered(3).await;
    gateway.drained().await;
    assert_eq!(gateway.sandbox.totals().events_accepted, 3);
    assert_eq!(gateway.metric("capigate_dead_letters").await, 0);
    assert_eq!(gateway.metric("capigate_redriven_total").await, 3);
    assert_eq!(gateway.metric("capigate_accepted_total").await, 3);
    gateway.finish().await;
}
