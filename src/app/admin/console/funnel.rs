//! How far events get.

use std::collections::BTreeMap;

use askama::Template;
use url::form_urlencoded::Serializer;

use super::super::funnel::{self, Came, Funnel};
use super::choice::{self, Choice};
use super::shell::Shell;
use super::words::{count, share};
use super::{Done, Visit, stopped};
use crate::time::UnixMs;
use crate::traffic::Stage;

#[derive(Template)]
#[template(path = "funnel.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    choice: Choice,
    stages: Vec<Line>,
    causes: Vec<Causes>,
    rows: Vec<Row>,
    /// Whether what became of events is of more than was chosen.
    is_wider: bool,
    is_empty: bool,
}

/// One stage of the way.
struct Line {
    name: &'static str,
    count: String,
    share: String,
    /// Where the events are listed, or said more of.
    link: String,
    says: &'static str,
    class: &'static str,
}

/// Why events stopped at one of the stages.
struct Causes {
    /// Of the section, which the stage links to.
    id: &'static str,
    title: &'static str,
    words: Vec<Word>,
    /// What is said when there are none.
    none: &'static str,
}

/// One cause, with its events.
struct Word {
    name: &'static str,
    count: String,
    says: &'static str,
    link: String,
    /// What is said of it among the issues.
    issue: String,
}

struct Row {
    source: String,
    event_name: String,
    received: String,
    /// Refused, filtered and duplicates: number, list and name.
    stopped: [(String, String, &'static str); 3],
    accepted: String,
    delivered: String,
    dead: String,
    /// Where the dead letters are.
    letters: String,
    has_source: bool,
}

/// `GET /console/funnel`.
pub(super) fn show(visit: Visit) -> Done {
    choice::show(visit, funnel::look, page)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "every page of counts is made of what was found for it"
)]
fn page(shell: Shell, choice: Choice, funnel: Funnel, now: UnixMs) -> Page {
    let came = funnel.came;
    let links = Links::of(&funnel, now);
    Page {
        choice: choice.with(
            &funnel.sources,
            &funnel.event_names,
            (funnel.since, funnel.until),
            now,
        ),
        stages: stages(&funnel, &links),
        causes: vec![
            Causes {
                id: "refused",
                title: "Refused at the door",
                words: words(&funnel.refused_by, |word| {
                    (links.cause(Stage::Refused, word), links.issue(word))
                }),
                none: "Nothing was refused.",
            },
            Causes {
                id: "filtered",
                title: "Filtered by policy",
                words: words(&funnel.filtered_by, |word| {
                    (links.cause(Stage::Filtered, word), links.issue(word))
                }),
                none: "No policy kept anything back.",
            },
            Causes {
                id: "dead",
                title: if funnel.source.is_none() {
                    "Dead letters"
                } else {
                    "Dead letters, of every source"
                },
                words: words(&funnel.dead_by, |word| {
                    (links.dead(&[("reason", word)]), String::new())
                }),
                none: "Nothing died.",
            },
        ],
        is_wider: funnel.source.is_some() || funnel.event_name.is_some(),
        is_empty: came == Came::default() && funnel.delivered + funnel.dead == 0,
        rows: (funnel.rows.iter())
            .map(|row| Row::of(row, &links))
            .collect(),
        shell,
    }
}

/// The lists behind the numbers, each of what was chosen.
struct Links<'f> {
    funnel: &'f Funnel,
    /// How far back the dead letters are.
    newer_than: String,
    /// The same of the end, where that is not now.
    older_than: Option<String>,
}

impl<'f> Links<'f> {
    fn of(funnel: &'f Funnel, now: UnixMs) -> Self {
        let seconds = |at: UnixMs| now.since(at).as_secs();
        let minutes = seconds(UnixMs(funnel.since)).div_ceil(60).max(1);
        let until = funnel.sift.until.map(seconds).filter(|past| *past > 0);
        Self {
            funnel,
            newer_than: format!("{minutes}m"),
            older_than: until.map(|past| format!("{past}s")),
        }
    }

    fn pixel(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        if let Some(pixel) = self.funnel.pixel {
            query.append_pair("pixel", &pixel.to_string());
        }
        query
    }

    fn stopped(&self, more: &[(&str, &str)]) -> String {
        let mut query = self.funnel.sift.query();
        query.extend_pairs(more);
        format!("/console/stopped?{}", query.finish())
    }

    fn cause(&self, stage: Stage, word: &str) -> String {
        self.stopped(&[("stage", stage.word()), ("cause", word)])
    }

    fn issue(&self, word: &str) -> String {
        let mut query = self.pixel();
        query.append_pair("code", word);
        format!("/console/issues?{}", query.finish())
    }

    /// Dead letters have a pixel, an event name and a time.
    fn dead(&self, more: &[(&str, &str)]) -> String {
        let mut query = self.pixel();
        if let Some(name) = &self.funnel.event_name {
            query.append_pair("event_name", name);
        }
        query.extend_pairs(more);
        query.append_pair("newer_than", &self.newer_than);
        if let Some(older_than) = &self.older_than {
            query.append_pair("older_than", older_than);
        }
        format!("/console/dead?{}", query.finish())
    }
}

fn stages(funnel: &Funnel, links: &Links<'_>) -> Vec<Line> {
    let (came, now) = (funnel.came, funnel.now);
    let of = |count: u64| share(count, came.received);
    let here = |id: &str| format!("#{id}");
    let stopped = |stage: Stage| links.stopped(&[("stage", stage.word())]);
    let waits = match funnel.pixel {
        Some(pixel) => format!("/console/pixels?pixel={pixel}"),
        None => super::HOME.to_owned(),
    };
    let unshared = |_: u64| String::new();
    // the journal knows no source, and of what is in it now no name either
    let has_now = funnel.source.is_none() && funnel.event_name.is_none();
    let has_ended = funnel.source.is_none();
    let stage =
        |name, number: Option<u64>, share: &dyn Fn(u64) -> String, link, says, class| Line {
            name,
            count: number.map_or_else(|| "–".to_owned(), count),
            share: number.map(share).unwrap_or_default(),
            link: if number.is_some() {
                link
            } else {
                String::new()
            },
            says,
            class: if number > Some(0) { class } else { "" },
        };
    let now_of = |number: u64| has_now.then_some(number);
    let ended = |number: u64| has_ended.then_some(number);
    vec![
        stage(
            "Received",
            Some(came.received),
            &of,
            here("rows"),
            "came with a good key",
            "",
        ),
        stage(
            "Refused at the door",
            Some(came.refused),
            &of,
            stopped(Stage::Refused),
            "something is wrong with the event, or a limit was reached: the sender was told",
            "warn",
        ),
        stage(
            "Filtered",
            Some(came.filtered),
            &of,
            stopped(Stage::Filtered),
            "a policy of yours kept it back: rule, consent or crawler",
            "",
        ),
        stage(
            "Duplicates",
            Some(came.duplicates),
            &of,
            stopped(Stage::Duplicate),
            "came before, and is not sent again",
            "",
        ),
        stage(
            "Accepted",
            Some(came.accepted),
            &of,
            here("rows"),
            "safe on disk: all others",
            "",
        ),
        stage(
            "Waiting",
            now_of(now.waiting),
            &unshared,
            waits.clone(),
            "now: waits for its turn",
            "",
        ),
        stage(
            "Being sent",
            now_of(now.sending),
            &unshared,
            waits.clone(),
            "now: on its way to Meta",
            "",
        ),
        stage(
            "Retrying",
            now_of(now.retrying),
            &unshared,
            waits.clone(),
            "now: Meta did not take it yet, or a limit of Meta’s is reached; it is tried again by itself",
            "warn",
        ),
        stage(
            "Held",
            now_of(now.held),
            &unshared,
            waits.clone(),
            "now: waits until a person has done something",
            "bad",
        ),
        stage(
            "Dead",
            ended(funnel.dead),
            &unshared,
            links.dead(&[]),
            "refused by Meta, or too old: one more for each time that an event died, also after it was sent again; the list has the letters that are kept",
            "warn",
        ),
        stage(
            "Delivered",
            ended(funnel.delivered),
            &of,
            here("rows"),
            "Meta has confirmed it in this time: with the copies of a mirror, and what came before, it may be more than was accepted",
            "good",
        ),
    ]
}

fn words(
    counts: &BTreeMap<&'static str, u64>,
    links: impl Fn(&str) -> (String, String),
) -> Vec<Word> {
    let mut all: Vec<(&&'static str, &u64)> = counts.iter().collect();
    all.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    all.into_iter()
        .map(|(word, number)| {
            let (link, issue) = links(word);
            Word {
                name: word,
                count: count(*number),
                says: stopped::next(word),
                link,
                issue,
            }
        })
        .collect()
}

impl Row {
    fn of(row: &funnel::Row, links: &Links<'_>) -> Self {
        let source = row.source.as_deref();
        let list = |number: u64, stage: Stage, name| {
            let own = [
                ("source", source),
                ("event_name", Some(row.event_name.as_str())),
            ];
            let chosen = [&links.funnel.source, &links.funnel.event_name];
            let own = own
                .iter()
                .zip(chosen)
                .filter(|(_, chosen)| chosen.is_none());
            let own = own.filter_map(|((key, value), _)| Some((*key, (*value)?)));
            let pairs: Vec<(&str, &str)> = own.chain([("stage", stage.word())]).collect();
            let link = if number > 0 {
                links.stopped(&pairs)
            } else {
                String::new()
            };
            (count(number), link, name)
        };
        Self {
            has_source: source.is_some(),
            source: source.unwrap_or("all").to_owned(),
            event_name: row.event_name.clone(),
            received: count(row.came.received),
            stopped: [
                list(row.came.refused, Stage::Refused, "refused"),
                list(row.came.filtered, Stage::Filtered, "filtered"),
                list(row.came.duplicates, Stage::Duplicate, "duplicates"),
            ],
            accepted: count(row.came.accepted),
            delivered: count(row.delivered),
            letters: match (row.dead, &links.funnel.event_name) {
                (0, _) => String::new(),
                (_, Some(_)) => links.dead(&[]),
                (_, None) => links.dead(&[("event_name", &row.event_name)]),
            },
            dead: count(row.dead),
        }
    }
}
