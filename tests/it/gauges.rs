//! What the metrics page says that is looked up when it is asked for.

use std::sync::Arc;
use std::time::Duration;

use capigate::journal::segment::disk::RealDisk;
use capigate::sandbox::{Action, Fault};
use capigate::time::{Clock, UnixMs};
use serde_json::json;

use crate::harness::{Gateway, OTHER, PIXEL, purchase, purchases};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_and_how_near_the_bounds_are_is_on_the_metrics_page() {
    let clock = Clock::manual(Clock::Real.now());
    let held_for_long = |config: &mut capigate::config::Config| {
        config.lanes.probe_interval = "1h".parse().unwrap();
    };
    let mut gateway = Gateway::with_disk(held_for_long, Arc::new(RealDisk), clock.clone()).await;
    let bad_token = Fault {
        edge: None,
        pixel: Some(OTHER.parse().unwrap()),
        times: None,
        action: Action::BadToken { subcode: None },
    };
    gateway.sandbox.add_fault(bad_token.forever());
    assert_eq!(gateway.post(purchases("good", 3)).await.status, 200);
    let body = json!({"data": [purchase("held-1"), purchase("held-2")]});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 200);
    let has = |page: &str, lines: &[String]| lines.iter().all(|line| page.contains(line.as_str()));
    let version = env!("CARGO_PKG_VERSION");
    let wanted = [
        format!("capigate_waiting{{pixel=\"{PIXEL}\"}} 0\n"),
        format!("capigate_waiting{{pixel=\"{OTHER}\"}} 2\n"),
        "capigate_lanes{state=\"held\"} 1\n".to_owned(),
        format!("capigate_build_info{{version=\"{version}\"}} 1\n"),
        "capigate_unready{reason=\"starting\"} 0\n".to_owned(),
        "capigate_limit{limit=\"journal.max_lanes\"} 10000\n".to_owned(),
        "capigate_limit_used{limit=\"journal.max_lanes\"} 1\n".to_owned(),
        "capigate_limited_total{limit=\"journal.disk\"} 0\n".to_owned(),
    ];
    gateway
        .until("a lane that is held", async |gateway| {
            has(&gateway.page("/metrics").await.1, &wanted).then_some(())
        })
        .await;

    let later = clock.now().0 + Duration::from_secs(700).as_millis() as i64;
    clock.set(UnixMs(later));
    let page = gateway.page("/metrics").await.1;
    let oldest = |pixel: &str| {
        let row = format!("capigate_waiting_oldest_seconds{{pixel=\"{pixel}\"}} ");
        let value = page.lines().find_map(|line| line.strip_prefix(&row));
        value.unwrap_or_else(|| panic!("{row}: {page}")).parse()
    };
    let (held, other): (f64, f64) = (oldest(OTHER).unwrap(), oldest(PIXEL).unwrap());
    assert!((700.0..760.0).contains(&held), "{held}");
    assert!(other.abs() < f64::EPSILON, "{other}");
    gateway.finish_with_backlog().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_was_refused_is_on_the_metrics_page_until_it_is_mended() {
    let mut gateway = Gateway::start().await;
    let good = gateway.config.lanes.max_events;
    for (max_events, refused) in [(5000, 1), (good, 0)] {
        let done = gateway.reload(|config| config.lanes.max_events = max_events);
        assert_eq!(done.await.is_err(), refused == 1);
        assert_eq!(gateway.metric("capigate_config_refused").await, refused);
    }
    gateway.finish().await;
}
