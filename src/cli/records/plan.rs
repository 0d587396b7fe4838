//! What becomes of each column of a CSV file, decided by its header line before anything is sent.

use csv::ByteRecord;
use jiff::tz::TimeZone;

use super::cell;
use super::columns::{Target, by_header, by_path};
use super::{HEAD, Reading, USAGE, failure};

/// How a CSV file is read.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) delimiter: u8,
    /// For each column the place of its slot; none for one that is left out.
    pub(super) columns: Vec<Option<usize>>,
    /// What columns are called in errors.
    pub(super) names: Vec<String>,
    pub(super) slots: Vec<Slot>,
    pub(super) zone: Option<TimeZone>,
}

/// One member of an event.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) target: Target,
    /// The values where a row has none.
    pub(super) default: Vec<String>,
}

/// What no event does without.
static NEEDED: [(&str, &str); 3] = [
    ("event_name", "event_name=Purchase"),
    ("event_time", ""),
    ("action_source", "action_source=physical_store"),
];

impl Plan {
    /// Reads the header line at the beginning of the file.
    pub(super) fn read(head: &[u8], reading: &Reading) -> anyhow::Result<Self> {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let delimiter = reading.delimiter.unwrap_or_else(|| usual(head));
        let mut header = ByteRecord::new();
        let mut sheet = super::sheet::builder(delimiter).from_reader(head);
        let found = sheet.read_byte_record(&mut header);
        let is_cut = head.len() + 3 >= HEAD && sheet.position().byte() as usize == head.len();
        if !matches!(found, Ok(true)) || is_cut {
            return Err(failure(
                USAGE,
                "a CSV file begins with a line of column names, of less than 64 KiB",
            ));
        }
        let is_carriage = |b: &u8| *b == b'\r';
        if !head.contains(&b'\n') && head.trim_ascii().iter().any(is_carriage) {
            return Err(failure(
                USAGE,
                "its lines end with carriage returns only: save it with line feeds, as \"CSV UTF-8\" or for Windows",
            ));
        }
        if header.iter().any(|name| name.contains(&b'\n')) {
            return Err(failure(
                USAGE,
                "the name of a column has a line break: is a quotation mark in the first line not closed?",
            ));
        }
        let header = names(&header)?;
        Self::new(&header, delimiter, reading)
    }

    fn new(header: &[String], delimiter: u8, reading: &Reading) -> anyhow::Result<Self> {
        let mut plan = Self {
            delimiter,
            columns: Vec::with_capacity(header.len()),
            names: Vec::with_capacity(header.len()),
            slots: Vec::new(),
            zone: reading.zone.clone(),
        };
        let same = |a: &str, b: &str| a.trim().eq_ignore_ascii_case(b.trim());
        for name in reading.map.iter().map(|(name, _)| name) {
            if !header.iter().any(|column| same(column, name)) {
                return Err(failure(
                    USAGE,
                    "--map names a column that the file does not have",
                ));
            }
        }
        for (at, (name, path)) in reading.map.iter().enumerate() {
            let earlier = reading.map.iter().take(at);
            if earlier.clone().any(|(other, _)| same(other, name)) {
                let message = format!("--map number {} names its column a second time", at + 1);
                return Err(failure(USAGE, message));
            }
            path_of(path, &format!("--map number {}", at + 1))?;
        }
        for (at, name) in reading.ignore.iter().enumerate() {
            let number = name.strip_prefix('#').and_then(|n| n.parse().ok());
            let is_number = number.is_some_and(|n: usize| (1..=header.len()).contains(&n));
            if !is_number && !header.iter().any(|column| same(column, name)) {
                let message = format!(
                    "--ignore number {} names a column that the file does not have",
                    at + 1
                );
                return Err(failure(USAGE, message));
            }
        }
        let mut strangers = Vec::new();
        for (at, column) in header.iter().enumerate() {
            let name = shown(column, at);
            let number = format!("#{}", at + 1);
            let is_ignored = |one: &String| *one == number || same(one, column);
            let mapped = reading.map.iter().find(|(name, _)| same(name, column));
            let target = match mapped {
                _ if reading.ignore.iter().any(is_ignored) => None,
                Some((_, path)) => Some(path_of(path, "--map")?),
                None => {
                    let target = by_header(column);
                    if target.is_none() {
                        strangers.push(name.clone());
                    }
                    target
                }
            };
            plan.names.push(name);
            let slot = target.map(|target| plan.slot(target, at)).transpose()?;
            plan.columns.push(slot);
        }
        if !strangers.is_empty() {
            return Err(unknown(&strangers));
        }
        for (path, value) in &reading.default {
            plan.add_default(path, value)?;
        }
        plan.check()?;
        Ok(plan)
    }

    /// The slot of a target, which a list may share with other columns.
    fn slot(&mut self, target: Target, column: usize) -> anyhow::Result<usize> {
        let found = self.slots.iter().position(|slot| {
            (slot.target.section, &slot.target.key) == (target.section, &target.key)
        });
        if let Some(found) = found {
            if !target.is_list() {
                let message = format!(
                    "column {} is the second one for {}: leave one out with --ignore '#{}'",
                    column + 1,
                    target.path(),
                    column + 1,
                );
                return Err(failure(USAGE, message));
            }
            return Ok(found);
        }
        self.slots.push(Slot {
            target,
            default: Vec::new(),
        });
        Ok(self.slots.len() - 1)
    }

    fn add_default(&mut self, path: &str, value: &str) -> anyhow::Result<()> {
        let target = path_of(path, "--default")?;
        let values = cell::values(value, target.kind, self.zone.as_ref());
        let default = values.map_err(|(rule, example)| {
            let path = target.path();
            failure(
                USAGE,
                format!("--default {path}: {rule}; for example {example}"),
            )
        })?;
        let known = self.slots.iter_mut().find(|slot| slot.target == target);
        match known {
            Some(slot) => slot.default = default,
            None => self.slots.push(Slot { target, default }),
        }
        Ok(())
    }

    fn check(&self) -> anyhow::Result<()> {
        let has = |path: &str| {
            let of_event = |slot: &Slot| slot.target.section.is_empty() && slot.target.key == path;
            self.slots.iter().any(of_event)
        };
        let has_user = self
            .slots
            .iter()
            .any(|slot| slot.target.section == "user_data");
        for (path, example) in NEEDED {
            if has(path) {
                continue;
            }
            let or = if example.is_empty() {
                String::new()
            } else {
                format!(", or one value for all rows with --default {example}")
            };
            let message = format!(
                "no column is {path}, which every event needs: name the column with --map COLUMN={path}{or}"
            );
            return Err(failure(USAGE, message));
        }
        if !has_user {
            return Err(failure(
                USAGE,
                "no column says who the customer is, so Meta could match no event: expected columns such as email, phone or external_id",
            ));
        }
        Ok(())
    }
}

fn names(header: &ByteRecord) -> anyhow::Result<Vec<String>> {
    let name = |(at, name): (usize, &[u8])| {
        let name = std::str::from_utf8(name.trim_ascii()).map(str::to_owned);
        name.map_err(|_| {
            let message = format!(
                "the name of column {} is not UTF-8: save the file as UTF-8",
                at + 1
            );
            failure(USAGE, message)
        })
    };
    header.iter().enumerate().map(name).collect()
}

fn path_of(path: &str, option: &str) -> anyhow::Result<Target> {
    by_path(path).or_else(|| by_header(path)).ok_or_else(|| {
        let message = format!(
            "{option}: expected the path of a member of an event, such as event_time, user_data.em or custom_data.value"
        );
        failure(USAGE, message)
    })
}

/// The name of a column, unless it may be someone's data, as in a file without a header.
fn shown(name: &str, at: usize) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-. ".contains(&b);
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts && name.len() <= 48 && digits < 5 && name.bytes().all(plain) {
        return format!("column {} ({name})", at + 1);
    }
    format!("column {}", at + 1)
}

fn unknown(strangers: &[String]) -> anyhow::Error {
    let (one, is) = if strangers.len() == 1 {
        ("it is", "is")
    } else {
        ("each is", "are")
    };
    let message = format!(
        "{} {is} not understood, and nothing was sent: it may hold personal data. Say what {one} with --map \"COLUMN=PATH\", such as --map \"Customer Mail=user_data.em\" or --map \"Shop=custom_data.shop\", or leave it out with --ignore COLUMN (or by its number, --ignore '#7'). If the first line holds no column names, add some.",
        strangers.join(", "),
    );
    failure(USAGE, message)
}

/// What stands between the names of the header line most often.
fn usual(head: &[u8]) -> u8 {
    let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |one: u8| memchr::memchr_iter(one, line).count();
    let mut best = b',';
    for other in [b';', b'\t', b'|'] {
        if count(other) > count(best) {
            best = other;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(header: &str, reading: &Reading) -> Result<Plan, String> {
        Plan::read(header.as_bytes(), reading).map_err(|error| error.to_string())
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        list.iter().map(own).collect()
    }

    #[test]
    fn a_header_is_understood_or_refused_as_a_whole() {
        let reading = Reading::default();
        let good = "Event Name;event_time;Action Source;E-Mail;email_2;value\n";
        let plan_of = plan(good, &reading).unwrap();
        assert_eq!(plan_of.delimiter, b';');
        assert_eq!(
            plan_of.columns,
            [Some(0), Some(1), Some(2), Some(3), Some(3), Some(4)]
        );
        for (header, words) in [
            (
                "event_name,event_time,action_source,em,Notes\n",
                "column 5 (Notes) is",
            ),
            ("event_name,event_time,action_source,em,\n", "column 5 is"),
            ("event_name,event_time,em\n", "action_source=physical_store"),
            ("event_name,action_source,em\n", "no column is event_time"),
            (
                "event_name,event_time,action_source,value\n",
                "who the customer is",
            ),
            (
                "event_name,event_time,action_source,em,value,value\n",
                "column 6 is the second",
            ),
        ] {
            let error = plan(header, &reading).unwrap_err();
            assert!(error.contains(words), "{header}: {error}");
        }
        let error = plan(
            "Purchase,1795341558,jane@example.com,16505551212\n",
            &reading,
        );
        let error = error.unwrap_err();
        assert!(error.contains("column 3, column 4"), "{error}");
        assert!(
            !error.contains("jane") && !error.contains("1650"),
            "{error}"
        );
    }

    #[test]
    fn what_is_not_understood_can_be_named_or_left_out() {
        let reading = Reading {
            map: pairs(&[("customer mail", "user_data.em"), ("When", "event_time")]),
            ignore: vec!["notes".to_owned(), "#4".to_owned()],
            default: pairs(&[
                ("event_name", "Purchase"),
                ("action_source", "physical_store"),
                ("currency", "EUR"),
            ]),
            ..Reading::default()
        };
        let plan_of = plan("Customer Mail,when,Notes,???\n", &reading).unwrap();
        assert_eq!(plan_of.columns, [Some(0), Some(1), None, None]);
        let paths: Vec<String> = plan_of
            .slots
            .iter()
            .map(|slot| slot.target.path())
            .collect();
        assert_eq!(
            paths,
            [
                "user_data.em",
                "event_time",
                "event_name",
                "action_source",
                "custom_data.currency"
            ]
        );
        let wrong = Reading {
            map: pairs(&[("nothing", "user_data.em")]),
            ..Reading::default()
        };
        assert!(plan("em\n", &wrong).unwrap_err().contains("--map"));
        let wrong = Reading {
            default: pairs(&[("value", "a lot")]),
            ..Reading::default()
        };
        let error = plan("event_name,event_time,action_source,em\n", &wrong).unwrap_err();
        assert!(
            error.contains("--default custom_data.value: a number"),
            "{error}"
        );
        for (map, ignore, words) in [
            (&[][..], &["nope"][..], "--ignore number 1"),
            (&[], &["#9"], "--ignore number 1"),
            (
                &[("em", "user_data.em"), ("EM", "user_data.ph")],
                &[],
                "--map number 2 names its column a second",
            ),
            (
                &[("em", "user_data.em"), ("event_name", "shoes.size")],
                &[],
                "--map number 2: expected the path",
            ),
        ] {
            let wrong = Reading {
                map: pairs(map),
                ignore: ignore.iter().map(|one| (*one).to_owned()).collect(),
                ..Reading::default()
            };
            let error = plan("event_name,event_time,action_source,em\n", &wrong).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        let error = plan("event_name,em\rLead,a\r", &Reading::default()).unwrap_err();
        assert!(error.contains("carriage returns only"), "{error}");
        let error = plan("event_name,\"em\nLead,a\n", &Reading::default()).unwrap_err();
        assert!(error.contains("not closed"), "{error}");
    }
}
