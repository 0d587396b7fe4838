//! Which codes are in force, without I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::store::{Kept, StoppedCode};
use super::{Code, Configured, Entry, Standing, Stopped, key_of};
use crate::pixel::PixelId;
use crate::time::UnixMs;

/// What the configuration says, and what was changed at run time.
#[derive(Clone, Debug)]
pub(super) struct State {
    configured: Arc<Configured>,
    started: BTreeMap<PixelId, Code>,
    /// Each stands in the configuration with this value.
    stopped: Vec<StoppedCode>,
}

impl State {
    pub(super) fn new(configured: Configured, kept: Kept) -> Self {
        let mut state = Self {
            configured: Arc::new(configured),
            started: kept.started,
            stopped: kept.stopped,
        };
        state.forget();
        state
    }

    /// The same with another configuration; whether what was started or stopped has become less.
    pub(super) fn with(&self, configured: Configured) -> (Self, bool) {
        let mut next = Self {
            configured: Arc::new(configured),
            ..self.clone()
        };
        next.forget();
        let forgets =
            next.stopped.len() < self.stopped.len() || next.started.len() < self.started.len();
        (next, forgets)
    }

    /// Drops what is about another value than the configuration has now, and about other pixels.
    fn forget(&mut self) {
        let configured = Arc::clone(&self.configured);
        self.started
            .retain(|pixel, _| configured.pixels.contains_key(pixel));
        self.stopped.retain(|stopped| {
            let source = stopped.source.as_deref();
            configured.code(stopped.pixel, source) == Some(&stopped.code)
        });
    }

    /// What goes to the file.
    pub(super) fn kept(&self, now: UnixMs) -> Kept {
        let mut started = self.started.clone();
        started.retain(|_, code| code.is_in_force(now));
        Kept {
            started,
            stopped: self.stopped.clone(),
        }
    }

    pub(super) fn pixels(&self) -> impl Iterator<Item = PixelId> {
        self.configured.pixels.keys().copied()
    }

    pub(super) fn knows(&self, pixel: PixelId) -> bool {
        self.configured.pixels.contains_key(&pixel)
    }

    pub(super) fn takes_clients(&self, source: &str) -> bool {
        let rule = self.configured.sources.get(source);
        rule.is_some_and(|rule| rule.takes_clients)
    }

    pub(super) fn open_sources(&self, pixel: PixelId) -> Vec<String> {
        let sources = self.configured.sources.iter();
        sources
            .filter(|(_, rule)| rule.takes_clients && rule.pixels.contains(&pixel))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The code that the server holds for an event.
    pub(super) fn held(&self, pixel: PixelId, source: &str, now: UnixMs) -> Option<&Code> {
        let started = self.started.get(&pixel);
        if let Some(code) = started.filter(|code| code.is_in_force(now)) {
            return Some(code);
        }
        [Some(source), None].into_iter().find_map(|source| {
            let code = self.configured.code(pixel, source)?;
            (self.standing(pixel, source, code, now) == Standing::Active).then_some(code)
        })
    }

    fn standing(&self, pixel: PixelId, source: Option<&str>, code: &Code, now: UnixMs) -> Standing {
        let is_this =
            |stopped: &&StoppedCode| stopped.pixel == pixel && stopped.source.as_deref() == source;
        if self.stopped.iter().any(|stopped| is_this(&stopped)) {
            Standing::Stopped
        } else if code.is_in_force(now) {
            Standing::Active
        } else {
            Standing::Ended
        }
    }

    /// Every code, by pixel, in the order in which they go before each other.
    pub(super) fn entries(&self, now: UnixMs) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (pixel, own) in &self.configured.pixels {
            if let Some(code) = self.started.get(pixel) {
                let state = if code.is_in_force(now) {
                    Standing::Active
                } else {
                    Standing::Ended
                };
                entries.push(entry(*pixel, None, code, None, state));
            }
            let sources = self.configured.sources.iter();
            let sources = sources.filter(|(_, rule)| rule.pixels.contains(pixel));
            let sources =
                sources.filter_map(|(name, rule)| Some((Some(&**name), rule.code.as_ref()?)));
            for (source, code) in sources.chain(own.as_ref().map(|code| (None, code))) {
                let state = self.standing(*pixel, source, code, now);
                let key = Some(key_of(*pixel, source));
                entries.push(entry(*pixel, source, code, key, state));
            }
        }
        entries
    }

    pub(super) fn start(&mut self, pixel: PixelId, code: Code) {
        self.started.insert(pixel, code);
    }

    pub(super) fn stop(&mut self, pixel: PixelId, now: UnixMs) -> Stopped {
        let mut mine = self.entries(now);
        mine.retain(|entry| entry.pixel == pixel);
        self.started.remove(&pixel);
        for entry in &mine {
            let source = entry.source.as_deref();
            let is_configured = entry.key.is_some() && entry.state != Standing::Stopped;
            if is_configured && let Some(code) = self.configured.code(pixel, source).cloned() {
                self.stopped.push(StoppedCode {
                    pixel,
                    source: entry.source.clone(),
                    code,
                });
            }
        }
        let keys = mine.iter().filter_map(|entry| entry.key.clone()).collect();
        mine.retain(|entry| entry.state == Standing::Active);
        Stopped {
            pixel,
            stopped: mine,
            keys,
        }
    }
}

impl Configured {
    /// The code of a source, or, where none is named, of the pixel.
    fn code(&self, pixel: PixelId, source: Option<&str>) -> Option<&Code> {
        let Some(source) = source else {
            return self.pixels.get(&pixel)?.as_ref();
        };
        let rule = self.sources.get(source)?;
        rule.code.as_ref()
    }
}

fn entry(
    pixel: PixelId,
    source: Option<&str>,
    code: &Code,
    key: Option<String>,
    state: Standing,
) -> Entry {
    Entry {
        pixel,
        source: source.map(str::to_owned),
        code: code.code.clone(),
        until: code.until.map(|until| until.0),
        mirror: code.mirror,
        key,
        state,
    }
}
