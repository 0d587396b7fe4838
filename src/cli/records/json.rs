//! Graph's `{"data":[…]}`, an array of events, or one event; one event at a time.

use std::cell::Cell;
use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::bounded::{Bounded, Meter};
use super::{Each, MAX_EVENT, Record, RowFault, WRONG, failure, showable};
use crate::codes;
use crate::ingest::request::{is_known, is_option};

/// Members a body, or an event that is alone, may have.
const MAX_MEMBERS: usize = 256;

/// What a body in Graph's shape has beside its events.
#[derive(Default)]
pub(super) struct Envelope {
    /// Whether there is `data`.
    pub(super) has_data: bool,
    pub(super) options: Vec<(String, String)>,
    /// Members that are for the caller's own request, and are not sent.
    pub(super) callers: Vec<(String, String)>,
    pub(super) has_strange_members: bool,
}

/// Reads one JSON text.
pub(super) fn read<R: Read>(
    input: Bounded<R>,
    meter: &Meter,
    envelope: &mut Envelope,
    each: &mut Each<'_>,
) -> anyhow::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(input);
    let is_over = Cell::new(false);
    let mut reader = Reader {
        meter,
        each,
        is_over: &is_over,
    };
    let done = json.deserialize_any(Whole {
        reader: &mut reader,
        envelope,
    });
    if is_over.get() {
        return Ok(());
    }
    let done = done.and_then(|()| json.end());
    done.map_err(|error| failure(WRONG, fault(&error)))
}

/// What is wrong with the text; serde's own words are left out, since they quote values.
fn fault(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let what = if error.io_error_kind() == Some(std::io::ErrorKind::FileTooLarge) {
        return "an event, or what stands around the events, has more than 8 MiB: expected {\"data\":[{…},…]}, an array of events, or one event".to_owned();
    } else if error.io_error_kind().is_some() {
        "the file cannot be read on"
    } else if error.is_eof() {
        "the JSON ends too early"
    } else if error.is_data() {
        "expected {\"data\":[{…},…]} with data once, an array of events, or one event"
    } else {
        "not JSON in UTF-8 (for one event a line, add --format ndjson)"
    };
    format!("{what}, at line {line} column {column}")
}

struct Reader<'a, 'b> {
    meter: &'a Meter,
    each: &'a mut Each<'b>,
    is_over: &'a Cell<bool>,
}

impl Reader<'_, '_> {
    fn take<E: Error>(&mut self, text: &str) -> Result<(), E> {
        let breaks = text.bytes().filter(|b| *b == b'\n').count() as u64;
        let event = event(text);
        let record = Record {
            line: self.meter.lines() + 1 - breaks.min(self.meter.lines()),
            end: self.meter.total(),
            event_id: event.as_deref().ok().and_then(id_of),
            event,
        };
        self.meter.next_record();
        match (self.each)(record) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                self.is_over.set(true);
                Err(E::custom("enough"))
            }
        }
    }
}

/// Some clients write each event as a JSON text inside a string.
fn event(text: &str) -> Result<String, RowFault> {
    if text.len() > MAX_EVENT {
        return Err(RowFault::new(
            codes::TOO_LARGE,
            "",
            "an event may have 1 MiB at most",
        ));
    }
    if !text.starts_with('"') {
        return Ok(text.to_owned());
    }
    let inner: Option<String> = serde_json::from_str(text).ok();
    inner
        .filter(|inner| serde_json::from_str::<serde::de::IgnoredAny>(inner).is_ok())
        .ok_or_else(|| RowFault::new(codes::BAD_JSON, "", "the text of the event is not JSON"))
}

/// The `event_id` of an event, if it can be shown.
pub(super) fn id_of(event: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Only<'a> {
        #[serde(borrow)]
        event_id: Option<&'a RawValue>,
    }
    let only: Only<'_> = serde_json::from_str(event).ok()?;
    let raw = only.event_id?.get();
    match serde_json::from_str::<String>(raw) {
        Ok(text) => showable(&text),
        Err(_) => raw
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| raw.to_owned()),
    }
}

struct Whole<'r, 'a, 'b> {
    reader: &'r mut Reader<'a, 'b>,
    envelope: &'r mut Envelope,
}

impl<'de> Visitor<'de> for Whole<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        Events(self.reader).visit_seq(seq)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
        let mut has_data = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == "data" {
                if has_data {
                    return Err(A::Error::custom("data twice"));
                }
                has_data = true;
                map.next_value_seed(Events(self.reader))?;
                continue;
            }
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            members.push((name, map.next_value()?));
        }
        self.envelope.has_data = has_data;
        if has_data {
            for (name, value) in members {
                if is_option(&name) {
                    self.envelope.options.push((name, value.get().to_owned()));
                } else if is_known(&name) {
                    self.envelope.callers.push((name, value.get().to_owned()));
                } else {
                    self.envelope.has_strange_members = true;
                }
            }
            return Ok(());
        }
        let mut event = String::from("{");
        for (at, (name, value)) in members.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let name = serde_json::to_string(name).map_err(A::Error::custom)?;
            event.extend([comma, &name, ":", value.get()]);
        }
        event.push('}');
        self.reader.take(&event)
    }
}

/// The events of `data`: an array, or an array as JSON text.
struct Events<'r, 'a, 'b>(&'r mut Reader<'a, 'b>);

impl<'de> DeserializeSeed<'de> for Events<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Events<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(event) = seq.next_element::<Box<RawValue>>()? {
            self.0.take(event.get())?;
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let events: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|_| E::custom("an array of events"))?;
        events
            .into_iter()
            .try_for_each(|event| self.0.take(event.get()))
    }
}
