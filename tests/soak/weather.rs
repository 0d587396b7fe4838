//! What the simulated Graph answers: for each pixel a walk at random through all moods.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use capigate::pixel::PixelId;
use capigate::sandbox::{Action, Fault, Headers, Sandbox};
use fastrand::Rng;

use super::books::pixel_id;
use super::load::PIXELS;
use super::place::TIMEOUT;

/// How events are refused wherever they are: code, subcode, and whether the answer says which.
pub(crate) const POISONS: [(i64, Option<i64>, bool); 6] = [
    (100, Some(2_804_050), false),
    (100, Some(2_804_009), true),
    (100, Some(2_804_003), false),
    (100, None, false),
    (100, Some(38), true),
    (506, None, false),
];

/// A way Graph can be, for a while.
struct Mood {
    name: &'static str,
    weight: u32,
    lasts_ms: RangeInclusive<u64>,
    action: fn(&mut Rng) -> Action,
}

const fn mood(
    name: &'static str,
    weight: u32,
    lasts_ms: RangeInclusive<u64>,
    action: fn(&mut Rng) -> Action,
) -> Mood {
    Mood {
        name,
        weight,
        lasts_ms,
        action,
    }
}

const MOODS: &[Mood] = &[
    mood("well", 30, 500..=4000, |_| well()),
    mood("throttle of an app", 2, 100..=2000, |rng| {
        throttle(rng, &[(4, None), (341, None)])
    }),
    mood("throttle of a token", 2, 100..=2000, |rng| {
        let codes = [(17, None), (32, None), (613, None), (80_001, None)];
        throttle(rng, &codes)
    }),
    mood("throttle of a pixel", 2, 100..=2000, |rng| {
        throttle(rng, &[(613, Some(1_487_742)), (80_004, Some(2_446_079))])
    }),
    mood("inconsistent volume", 1, 100..=500, |rng| {
        throttle(rng, &[(613, Some(1996))])
    }),
    mood("usage near its limit", 2, 500..=3000, |rng| {
        let headers = usage(rng.u8(70..95));
        Action::Headers { headers }
    }),
    mood("5xx", 2, 100..=2000, |rng| {
        let status = *pick(rng, &[500, 502, 503, 504]);
        Fault::status(status).action
    }),
    mood("html", 2, 100..=2000, |rng| {
        let status = *pick(rng, &[200, 500, 502, 503]);
        Action::Html { status }
    }),
    mood("html after accept", 1, 100..=1000, |rng| {
        let status = *pick(rng, &[200, 502, 503]);
        Action::HtmlAfterAccept { status }
    }),
    mood("cut", 2, 100..=2000, |_| Action::Cut {}),
    mood("cut after accept", 2, 100..=1000, |_| {
        Action::CutAfterAccept {}
    }),
    mood("slow", 3, 500..=3000, |rng| {
        let (ms, accept_first) = (rng.u64(20..400), rng.bool());
        Action::Slow { ms, accept_first }
    }),
    mood("too slow", 1, 500..=2000, |rng| {
        let ms = TIMEOUT.as_millis() as u64 + rng.u64(300..1000);
        let accept_first = rng.bool();
        Action::Slow { ms, accept_first }
    }),
    mood("wrong json", 2, 100..=1000, |rng| {
        let accept = rng.bool();
        Action::WrongJson { accept }
    }),
    mood("short", 2, 100..=2000, |rng| {
        let missing = *pick(rng, &[1, 1000]);
        Action::Short { missing }
    }),
    mood("bad token", 2, 100..=2000, |rng| {
        let known = [None, Some(458), Some(460), Some(463), Some(467)];
        let subcode = *pick(rng, &known);
        Action::BadToken { subcode }
    }),
    mood("no permission", 2, 100..=2000, |rng| {
        let codes = [(200, None), (294, None), (10, None), (100, Some(33))];
        let more = [(803, None), (3, None), (1_870_090, None)];
        let (code, subcode) = *pick(rng, &[&codes[..], &more].concat());
        error(400, code, subcode)
    }),
    mood("too large", 2, 500..=3000, |rng| {
        // more than any single event has
        let bytes = rng.usize(1000..3000);
        Action::TooLarge { bytes }
    }),
    mood("blocked", 1, 100..=1000, |rng| {
        let (code, subcode) = *pick(
            rng,
            &[(368, None), (368, Some(1_390_008)), (2_859_015, None)],
        );
        error(400, code, subcode)
    }),
    mood("unknown", 1, 100..=2000, |_| error(500, 1, None)),
];

/// The walk of all pixels.
pub(crate) struct Weather {
    rng: Rng,
    pixels: Vec<(Action, Instant)>,
    /// Until then Graph is down for everyone.
    outage: Option<Instant>,
    /// How often each mood was taken on.
    pub(crate) seen: BTreeMap<&'static str, u64>,
}

impl Weather {
    pub(crate) fn new(rng: Rng) -> Self {
        let now = Instant::now();
        Self {
            rng,
            pixels: vec![(well(), now); PIXELS],
            outage: None,
            seen: BTreeMap::new(),
        }
    }

    /// Graph is down for this long, so that the journal fills.
    pub(crate) fn outage(&mut self, time: Duration) {
        *self.seen.entry("outage").or_default() += 1;
        self.outage = Some(Instant::now() + time);
        // at once
        self.pixels[0].1 = Instant::now();
    }

    /// Moves on the pixels whose mood is over.
    pub(crate) fn step(&mut self, sandbox: &Sandbox) {
        let now = Instant::now();
        let mut changed = self.outage.take_if(|until| *until <= now).is_some();
        for (action, until) in self.pixels.iter_mut().filter(|(_, until)| *until <= now) {
            let mood = draw(&mut self.rng);
            *self.seen.entry(mood.name).or_default() += 1;
            *action = (mood.action)(&mut self.rng);
            *until = now + Duration::from_millis(self.rng.u64(mood.lasts_ms.clone()));
            changed = true;
        }
        if changed {
            let moods = self.pixels.iter().enumerate();
            let moods = moods.map(|(pixel, (action, _))| {
                let pixel = PixelId::from_u64(pixel_id(pixel)).unwrap();
                Fault::from(action.clone()).on(pixel).forever()
            });
            let outage = self.outage.map(|_| Fault::status(503).forever());
            let script = outage.into_iter().chain(poisons()).chain(moods);
            sandbox.set_faults(script.collect());
        }
    }
}

/// All is well, but for poison.
pub(crate) fn heal(sandbox: &Sandbox) {
    sandbox.set_faults(poisons().collect());
}

/// No fault at all.
fn well() -> Action {
    Action::Headers {
        headers: Headers::new(),
    }
}

/// They come first, since no mood that accepts may accept poison.
fn poisons() -> impl Iterator<Item = Fault> {
    (0..).zip(POISONS).map(|(way, (code, subcode, blame))| {
        Fault::from(Action::RefuseEvent {
            event_id: Some(format!("poison{way}-*")),
            index: None,
            code,
            subcode,
            blame,
        })
    })
}

fn draw(rng: &mut Rng) -> &'static Mood {
    let total: u32 = MOODS.iter().map(|mood| mood.weight).sum();
    let mut left = rng.u32(..total);
    MOODS
        .iter()
        .find(|mood| match left.checked_sub(mood.weight) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        })
        .unwrap()
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn error(status: u16, code: i64, subcode: Option<i64>) -> Action {
    Action::Status {
        status,
        code,
        subcode,
        is_transient: Some(false),
        message: Some(format!("(#{code}) An error by script")),
        headers: Headers::new(),
    }
}

fn throttle(rng: &mut Rng, codes: &[(i64, Option<i64>)]) -> Action {
    let (code, subcode) = *pick(rng, codes);
    let headers = if rng.bool() {
        usage(100)
    } else {
        Headers::new()
    };
    Action::Throttle {
        code,
        subcode,
        status: *pick(rng, &[400, 403, 429, 500]),
        retry_after: (rng.u8(..3) == 0).then_some(1),
        headers,
    }
}

/// Usage headers at this percentage; at 100 they say that it takes a second.
fn usage(percent: u8) -> Headers {
    let app = format!(r#"{{"call_count":{percent},"total_time":3,"total_cputime":1}}"#);
    let account = format!(
        r#"{{"acc_id_util_pct":{percent}.5,"reset_time_duration":1,"ads_api_access_tier":"standard_access"}}"#
    );
    let case = format!(
        r#"{{"1":[{{"type":"ads_management","call_count":{percent},"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":0}}]}}"#
    );
    let named = [
        ("x-app-usage", app),
        ("x-ad-account-usage", account),
        ("x-business-use-case-usage", case),
    ];
    let owned = named.map(|(name, value)| (name.to_owned(), value));
    Headers::from(owned)
}
