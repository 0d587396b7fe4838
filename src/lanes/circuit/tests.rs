use super::*;
use crate::graph::Scope;

const MINUTE: Duration = Duration::from_mins(1);

/// A circuit and a clock that stands still until it is moved.
struct Bench {
    circuit: Circuit,
    now: Now,
    settings: Settings,
}

impl Bench {
    fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            wall: UnixMs(1),
            generation: 1,
        };
        Self {
            circuit: Circuit::new(&now),
            now,
            settings: Settings::sample(),
        }
    }

    fn after(&mut self, span: Duration) -> Look {
        self.now.instant += span;
        self.now.wall = self.now.wall.plus(span);
        self.tick();
        self.circuit.look(&self.now)
    }

    fn tick(&mut self) {
        self.now.generation += 1;
    }

    fn fail(&mut self, fresh: bool, wait: Option<Duration>) {
        self.tick();
        self.circuit.fail(fresh, wait, &self.settings, &self.now);
    }

    fn throttle(&mut self, fresh: bool, wait: Option<Duration>) {
        self.tick();
        let throttle = Throttle {
            scope: Scope::Pixel,
            wait,
            floor: 1,
        };
        let (settings, now) = (&self.settings, &self.now);
        self.circuit.throttle(fresh, &throttle, None, settings, now);
    }

    fn hold(&mut self, fresh: bool, cause: Cause) {
        self.tick();
        let (settings, now) = (&self.settings, &self.now);
        self.circuit
            .hold(fresh, HeldBy::Graph(cause), None, settings, now);
    }

    fn open(&mut self) {
        self.tick();
        self.circuit.open(&self.now);
    }

    fn wait(&self) -> Duration {
        match self.circuit.state {
            State::Backoff { until } | State::Throttled { until } => until - self.now.instant,
            State::Held {
                next_probe: Some(at),
                ..
            } => at - self.now.instant,
            state => panic!("no wait in {state:?}"),
        }
    }
}

#[test]
fn a_failure_waits_then_one_batch_decides() {
    let mut b = Bench::new();
    b.fail(true, Some(Duration::from_secs(9)));
    assert!(matches!(b.after(Duration::ZERO), Look::Wait(Some(_))));
    assert_eq!(b.wait(), Duration::from_secs(9), "the server's word");
    assert!(matches!(b.after(Duration::from_secs(8)), Look::Wait(_)));
    assert_eq!(b.after(Duration::from_secs(1)), Look::Probe { one: false });
    b.circuit.occupy();
    assert_eq!(b.after(MINUTE), Look::Wait(None), "only one");
    b.circuit.vacate(None);
    assert_eq!(b.after(MINUTE), Look::Probe { one: false });
    b.open();
    assert_eq!(b.after(Duration::ZERO), Look::Pass);
}

#[test]
fn answers_from_before_a_change_do_not_make_it_worse() {
    let mut b = Bench::new();
    b.fail(true, None);
    for _ in 0..50 {
        b.fail(false, None);
    }
    b.after(Duration::from_secs(1));
    // were they counted, the wait could be minutes; the second failure waits up to two seconds
    b.fail(true, None);
    assert!(b.wait() <= Duration::from_secs(2), "{:?}", b.wait());
    // what the server asks for counts all the same
    b.fail(false, Some(MINUTE));
    assert_eq!(b.wait(), MINUTE);
    // and so does what is graver
    b.throttle(false, Some(3 * MINUTE));
    assert_eq!(b.circuit.state.code(), "throttled");
    b.hold(false, Cause::Permission);
    assert_eq!(b.circuit.state.code(), "held");
    for circuit in [Bench::fail, Bench::throttle] {
        circuit(&mut b, false, Some(MINUTE));
        assert_eq!(b.circuit.state.code(), "held");
    }
    // but nothing stops what is open again
    b.open();
    b.fail(false, Some(MINUTE));
    b.throttle(false, Some(MINUTE));
    b.hold(false, Cause::Permission);
    assert_eq!(b.circuit.state, State::Open);
}

#[test]
fn throttles_in_a_row_wait_longer_and_slow_down() {
    let mut b = Bench::new();
    for minutes in [1, 2, 4] {
        b.throttle(true, None);
        assert_eq!(b.wait(), minutes * MINUTE);
        assert_eq!(b.after(minutes * MINUTE), Look::Probe { one: false });
    }
    assert_eq!(pace::steps(b.circuit.factor), 8);
    b.throttle(true, Some(30 * MINUTE));
    assert_eq!(b.wait(), 30 * MINUTE);
    // several that were in flight together count once, the longest wait counts
    b.throttle(false, Some(40 * MINUTE));
    b.throttle(false, None);
    assert_eq!(b.wait(), 40 * MINUTE);
    assert_eq!(pace::steps(b.circuit.factor), 4);
    b.open();
    b.throttle(true, None);
    assert_eq!(b.wait(), MINUTE);
}

#[test]
fn a_hold_is_probed_with_one_event_now_and_then() {
    let mut b = Bench::new();
    b.hold(true, Cause::Token);
    let since = b.circuit.since;
    assert!(matches!(b.after(4 * MINUTE), Look::Wait(Some(_))));
    assert_eq!(b.after(MINUTE), Look::Probe { one: true });
    b.circuit.occupy();
    assert_eq!(b.after(Duration::ZERO), Look::Wait(None));
    b.hold(true, Cause::Token);
    assert_eq!(b.wait(), 5 * MINUTE);
    assert_eq!(b.circuit.since, since, "it is the same hold");
    // a failure of the network says nothing about the token
    assert_eq!(b.after(5 * MINUTE), Look::Probe { one: true });
    b.circuit.occupy();
    b.fail(true, None);
    assert_eq!(b.circuit.state.code(), "held");
    assert_eq!(b.wait(), 5 * MINUTE);
    b.tick();
    b.circuit.release(&b.now.clone());
    assert_eq!(b.after(Duration::ZERO), Look::Probe { one: false });
}

#[test]
fn what_meta_has_blocked_is_asked_ever_later() {
    let mut b = Bench::new();
    for hours in [1, 2, 4, 8, 16, 24, 24] {
        b.hold(true, Cause::Blocked);
        assert_eq!(b.wait(), hours * 60 * MINUTE);
        assert_eq!(b.after(hours * 60 * MINUTE), Look::Probe { one: true });
    }
}

#[test]
fn usage_slows_down_and_stops_at_the_limit() {
    let mut b = Bench::new();
    let reading = |percent, regain| Reading {
        scope: Scope::App,
        percent,
        regain,
    };
    let now = b.now;
    b.circuit
        .read(true, &reading(60.0, None), &b.settings, &now);
    assert!(b.circuit.is_plain());
    b.circuit
        .read(true, &reading(87.5, Some(MINUTE)), &b.settings, &now);
    assert_eq!(b.circuit.state, State::Open);
    assert_eq!(pace::steps(b.circuit.factor), 32);
    b.circuit
        .read(false, &reading(100.0, Some(MINUTE)), &b.settings, &now);
    assert_eq!(b.circuit.state, State::Open, "an old answer");
    b.circuit
        .read(true, &reading(100.0, Some(7 * MINUTE)), &b.settings, &now);
    assert_eq!(b.wait(), 7 * MINUTE);
    let mut b = Bench::new();
    let now = b.now;
    b.circuit
        .read(true, &reading(120.0, None), &b.settings, &now);
    assert_eq!(b.wait(), MINUTE);
}
