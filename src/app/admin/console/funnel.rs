//! How far events get.

use std::collections::BTreeMap;

use askama::Template;

use super::super::funnel::{self, Came, Funnel};
use super::choice::{self, Choice};
use super::shell::Shell;
use super::words::{Moment, count, share};
use super::{Done, Visit};
use crate::codes;
use crate::time::UnixMs;

#[derive(Template)]
#[template(path = "funnel.html", config = "src/app/admin/console/askama.toml")]
struct Page {
    shell: Shell,
    choice: Choice,
    since: Moment,
    stages: Vec<Stage>,
    causes: Vec<Causes>,
    rows: Vec<Row>,
    /// Whether what became of events is of more than was chosen.
    is_wider: bool,
    is_empty: bool,
}

/// One stage of the way.
struct Stage {
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
}

struct Row {
    source: String,
    event_name: String,
    received: String,
    refused: String,
    filtered: String,
    duplicates: String,
    accepted: String,
    delivered: String,
    dead: String,
    has_source: bool,
}

/// `GET /console/funnel`.
pub(super) fn show(visit: Visit) -> Done {
    choice::show(visit, funnel::look, page)
}

fn page(shell: Shell, choice: Choice, funnel: Funnel, now: UnixMs) -> Page {
    let pixel = funnel.pixel.map(|pixel| format!("pixel={pixel}"));
    let query = pixel.unwrap_or_default();
    let came = funnel.came;
    Page {
        choice: choice.with(&funnel.sources, &funnel.event_names),
        since: Moment::of(UnixMs(funnel.since), now),
        stages: stages(&funnel, &query),
        causes: vec![
            Causes {
                id: "refused",
                title: "Refused at the door",
                words: words(&funnel.refused_by, |word| {
                    format!("/console/issues?{}", and(&query, "code", word))
                }),
                none: "Nothing was refused.",
            },
            Causes {
                id: "filtered",
                title: "Filtered by policy",
                words: words(&funnel.filtered_by, |_| String::new()),
                none: "No policy kept anything back.",
            },
            Causes {
                id: "dead",
                title: "Dead letters",
                words: words(&funnel.dead_by, |word| {
                    format!("/console/dead?{}", and(&query, "reason", word))
                }),
                none: "Nothing died.",
            },
        ],
        is_wider: funnel.source.is_some() || funnel.event_name.is_some(),
        is_empty: came == Came::default() && funnel.delivered + funnel.dead == 0,
        rows: funnel.rows.into_iter().map(Row::of).collect(),
        shell,
    }
}

fn stages(funnel: &Funnel, query: &str) -> Vec<Stage> {
    let (came, now) = (funnel.came, funnel.now);
    let of = |count: u64| share(count, came.received);
    let list = |path: &str| match query {
        "" => path.to_owned(),
        _ => format!("{path}?{query}"),
    };
    let here = |id: &str| format!("#{id}");
    let waits = match funnel.pixel {
        Some(pixel) => format!("{}?search={pixel}", super::HOME),
        None => super::HOME.to_owned(),
    };
    let unshared = |_: u64| String::new();
    // of events of all sources
    let delivered = |count: u64| match funnel.source {
        Some(_) => String::new(),
        None => of(count),
    };
    let stage = |name, number: u64, share: &dyn Fn(u64) -> String, link, says, class| Stage {
        name,
        count: count(number),
        share: share(number),
        link,
        says,
        class: if number > 0 { class } else { "" },
    };
    vec![
        stage(
            "Received",
            came.received,
            &of,
            here("rows"),
            "came with a good key",
            "",
        ),
        stage(
            "Refused at the door",
            came.refused,
            &of,
            here("refused"),
            "something is wrong with the event, or a limit was reached: the sender was told",
            "warn",
        ),
        stage(
            "Filtered",
            came.filtered,
            &of,
            here("filtered"),
            "a policy of yours kept it back: rule, consent or crawler",
            "",
        ),
        stage(
            "Duplicates",
            came.duplicates,
            &of,
            here("rows"),
            "came before, and is not sent again",
            "",
        ),
        stage(
            "Accepted",
            came.accepted,
            &of,
            here("rows"),
            "safe on disk: all others",
            "",
        ),
        stage(
            "Waiting",
            now.waiting,
            &unshared,
            waits.clone(),
            "now: waits for its turn",
            "",
        ),
        stage(
            "Being sent",
            now.sending,
            &unshared,
            waits.clone(),
            "now: on its way to Meta",
            "",
        ),
        stage(
            "Retrying",
            now.retrying,
            &unshared,
            waits.clone(),
            "now: Meta did not take it yet, or a limit of Meta’s is reached; it is tried again by itself",
            "warn",
        ),
        stage(
            "Held",
            now.held,
            &unshared,
            waits.clone(),
            "now: waits until a person has done something",
            "bad",
        ),
        stage(
            "Dead",
            funnel.dead,
            &unshared,
            list("/console/dead"),
            "refused by Meta, or too old: a dead letter",
            "warn",
        ),
        stage(
            "Delivered",
            funnel.delivered,
            &delivered,
            here("rows"),
            "Meta has confirmed it",
            "good",
        ),
    ]
}

fn and(query: &str, name: &str, value: &str) -> String {
    let mut next = url::form_urlencoded::Serializer::new(query.to_owned());
    next.append_pair(name, value);
    next.finish()
}

fn words(counts: &BTreeMap<&'static str, u64>, link: impl Fn(&str) -> String) -> Vec<Word> {
    let mut all: Vec<(&&'static str, &u64)> = counts.iter().collect();
    all.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    all.into_iter()
        .map(|(word, number)| Word {
            name: word,
            count: count(*number),
            says: codes::find(word).map_or("", |code| code.row().next),
            link: link(word),
        })
        .collect()
}

impl Row {
    fn of(row: funnel::Row) -> Self {
        Self {
            has_source: row.source.is_some(),
            source: row.source.unwrap_or_else(|| "all".to_owned()),
            event_name: row.event_name,
            received: count(row.came.received),
            refused: count(row.came.refused),
            filtered: count(row.came.filtered),
            duplicates: count(row.came.duplicates),
            accepted: count(row.came.accepted),
            delivered: count(row.delivered),
            dead: count(row.dead),
        }
    }
}
