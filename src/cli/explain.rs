//! `capigate explain`: what an error of Meta's or a word of the gateway's means, and what to do
//! next.

mod events;
mod own;
mod words;

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use clap::Args;
use serde_json::{Value, json};

use super::client::failure;
use super::table;
use super::{OK, USAGE, WRONG, print_json};
use crate::codes::{self, Code};
use crate::graph::oauth::catalogue::{Message, Row, Subcode, rows};
use crate::graph::oauth::{Context, State, by_code};
use crate::graph::verdict::explain::{self, Explained};

/// Characters of the word of a case.
const MAX_WORD: usize = 64;

/// Say what an error of Meta's, or a word of the gateway's, means and what to do next.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Meta's code, such as 190; with its subcode, such as 190/463; or a word of --list, such as
    /// dialog-no-answer or without_value
    #[arg(value_name = "CODE[/SUBCODE]", required_unless_present = "list")]
    what: Option<String>,
    /// List every case
    #[arg(long, conflicts_with = "what")]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// Meta's code and, if given, subcode.
    Code(i64, Option<i64>),
    /// A cell of the list, such as `613/-` or `200-299`, and no code by itself.
    Cell(String),
    /// The word of a case.
    Word(String),
}

impl FromStr for Asked {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text
            .trim()
            .trim_start_matches(['#', '('])
            .trim_end_matches(')');
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty();
        // 190 463 is 190/463
        let joined = text
            .split_once(' ')
            .map(|(code, subcode)| (code, subcode.trim()))
            .filter(|(code, subcode)| digits(code) && digits(subcode))
            .map(|(code, subcode)| format!("{code}/{subcode}"));
        let text = joined.as_deref().unwrap_or(text);
        let (code, subcode) = match text.split_once('/') {
            Some((code, subcode)) => (code, Some(subcode)),
            None => (text, None),
        };
        let is_cell = |b: u8| b.is_ascii_digit() || b"-/, ".contains(&b);
        // a code of Meta's may be negative, and is no range then
        let has_more = text.trim_start_matches('-').contains(['-', ',']);
        if has_more && text.bytes().all(is_cell) {
            return Ok(Self::Cell(text.to_owned()));
        }
        if let Ok(code) = code.trim().parse() {
            let subcode = subcode.map(|subcode| subcode.trim().parse());
            return match subcode.transpose() {
                // Meta's 0 is no subcode
                Ok(subcode) => Ok(Self::Code(code, subcode.filter(|subcode| *subcode != 0))),
                Err(_) => Err(()),
            };
        }
        let text = text.to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let is_word = (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(plain);
        is_word.then_some(Self::Word(text)).ok_or(())
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code, Some(subcode)) => write!(f, "{code}/{subcode}"),
            Self::Code(code, None) => code.fmt(f),
            Self::Cell(word) | Self::Word(word) => f.write_str(word),
        }
    }
}

/// Everything that is known about what was asked.
struct Found {
    /// About tokens and logins.
    token: Vec<&'static Row>,
    /// About answers to events.
    events: Vec<Explained>,
    /// A word of the gateway's own.
    word: Option<Code>,
    /// What a word of the gateway's means that is no code.
    own: Option<&'static str>,
}

impl Found {
    fn of(asked: &Asked) -> Self {
        match asked {
            Asked::Code(code, subcode) => Self {
                token: by_code(*code, *subcode),
                events: explain::by_code(*code, *subcode),
                word: None,
                own: None,
            },
            Asked::Cell(cell) => Self {
                token: rows().filter(|row| has_cell(codes_of(row), cell)).collect(),
                events: explain::rows()
                    .filter(|row| has_cell(Some(events::codes(row)), cell))
                    .collect(),
                word: None,
                own: None,
            },
            Asked::Word(word) => Self {
                token: rows().filter(|row| row.slug == word).collect(),
                events: Vec::new(),
                word: codes::find(word),
                own: own::find(word),
            },
        }
    }

    fn all() -> Self {
        Self {
            token: rows().collect(),
            events: explain::rows().collect(),
            word: None,
            own: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.token.is_empty() && self.events.is_empty() && self.word.is_none() && self.own.is_none()
    }

    fn cases(&self) -> Vec<Value> {
        let token = self.token.iter().map(|row| case(row));
        let events = self.events.iter().map(events::case);
        token
            .chain(events)
            .chain(self.word.map(words::case))
            .chain(
                self.own
                    .map(|says| json!({ "about": "gateway", "says": says })),
            )
            .collect()
    }

    fn print(&self, asked: &Asked, out: &mut dyn Write) -> anyhow::Result<()> {
        if let [_, _, ..] = self.token.as_slice() {
            writeln!(
                out,
                "{asked} has {} meanings for tokens and logins; what was asked of Meta and its words decide:\n",
                self.token.len()
            )?;
        }
        for (at, row) in self.token.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            print(row, out)?;
        }
        let is_second = !self.token.is_empty();
        if is_second && !self.events.is_empty() {
            writeln!(out, "\nAs an answer to events:\n")?;
        }
        for (at, row) in self.events.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            events::print(row, out)?;
        }
        if let Some(code) = self.word {
            if is_second {
                writeln!(out)?;
            }
            words::print(code, out)?;
        }
        if let Some(says) = self.own {
            writeln!(out, "{asked}: {says}")?;
        }
        Ok(())
    }
}

pub(super) fn run(args: &ExplainArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(what) = args.what.as_deref().filter(|_| !args.list) else {
        return list(args.json, out);
    };
    let asked: Asked = what.parse().map_err(|()| {
        failure(
            USAGE,
            "expected a code, such as 190, a code and a subcode, such as 190/463 (in one argument), or a word that `capigate explain --list` shows",
        )
    })?;
    let found = Found::of(&asked);
    if args.json {
        let cases = found.cases();
        print_json(out, &json!({ "asked": asked.to_string(), "cases": cases }))?;
    } else if let Asked::Word(word) = &asked
        && found.is_empty()
    {
        match own::nearest(word) {
            Some(near) => writeln!(out, "{word} is no word that is known. Did you mean {near}?")?,
            None => writeln!(out, "{word} is no word that is known.")?,
        }
        writeln!(out, "`capigate explain --list` shows what is known.")?;
    } else if found.is_empty() {
        writeln!(
            out,
            "{asked} is not in this program's catalogue. Meta's own words beside the code are all there is to go\nby; Meta's page on error handling and, with the trace id (fbtrace_id), its support may know more.\nAs an answer to events, is_transient decides what the gateway does with it, and then the HTTP status.\n`capigate explain --list` shows what is known."
        )?;
    } else {
        found.print(&asked, out)?;
    }
    Ok(if found.is_empty() { WRONG } else { OK })
}

fn list(json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    let all = Found::all();
    if json {
        let own = codes::all().map(words::case);
        let cases: Vec<Value> = all.cases().into_iter().chain(own).collect();
        return print_json(out, &json!({ "cases": cases }));
    }
    let token = all.token.iter().map(|row| {
        vec![
            codes_of(row).unwrap_or_else(|| row.slug.to_owned()),
            row.slug.to_owned(),
            contexts(row).unwrap_or_else(|| "anything".to_owned()),
            row.title.to_owned(),
        ]
    });
    let events = all.events.iter().map(|row| {
        let meaning = row.title.to_owned();
        vec![
            events::codes(row),
            "-".to_owned(),
            "an answer to events".to_owned(),
            meaning,
        ]
    });
    let own = codes::all().map(|code| {
        vec![
            code.to_string(),
            code.to_string(),
            format!("the gateway's answer: {}", words::about(code)),
            code.row().rule.to_owned(),
        ]
    });
    let lines: Vec<Vec<String>> = token.chain(events).chain(own).collect();
    table::print(out, &["code", "word", "when", "meaning"], &lines)?;
    Ok(OK)
}

/// Whether a cell of the list is what was asked for, or has it among others.
fn has_cell(listed: Option<String>, asked: &str) -> bool {
    listed.is_some_and(|listed| listed == asked || listed.split(", ").any(|one| one == asked))
}

/// One case for people.
fn print(row: &Row, out: &mut dyn Write) -> anyhow::Result<()> {
    let codes = codes_of(row).map_or_else(String::new, |codes| format!("{codes}  "));
    writeln!(out, "{codes}{} ({})", row.title, row.slug)?;
    if let Some(contexts) = contexts(row) {
        writeln!(out, "  when:   {contexts}")?;
    }
    if let Some(words) = words(row.message) {
        writeln!(out, "  words:  {words}")?;
    }
    writeln!(out, "  means:  {}", row.says)?;
    if row.state != State::Unchanged {
        writeln!(out, "  token:  {}", row.state.as_str())?;
    }
    writeln!(out, "  → {}", row.next)?;
    Ok(())
}

/// One case for other programs. `about` tells them apart from cases about other things than
/// tokens and logins.
fn case(row: &Row) -> Value {
    let (match_kind, texts) = match row.message {
        Message::Any => ("any", &[][..]),
        Message::Starts(texts) => ("starts", texts),
        Message::Has(texts) => ("has", texts),
    };
    let codes: Vec<Value> = row
        .codes
        .iter()
        .map(|(first, last)| json!({ "first": first, "last": last }))
        .collect();
    let subcode = match row.subcode {
        Subcode::Any => json!("any"),
        Subcode::Absent => json!("absent"),
        Subcode::Is(subcode) => json!(subcode),
    };
    let contexts: Vec<&str> = row.contexts.iter().map(|one| context(*one).0).collect();
    json!({
        "about": "token",
        "word": row.slug,
        "codes": codes,
        "subcode": subcode,
        "message": { "match": match_kind, "texts": texts },
        "when": contexts,
        "state": row.state.as_str(),
        "exit": row.exit.code(),
        "title": row.title,
        "says": row.says,
        "next": row.next,
    })
}

/// `190/463`, `200-299`; none where Meta gives no code.
fn codes_of(row: &Row) -> Option<String> {
    let subcode = match row.subcode {
        Subcode::Is(subcode) => format!("/{subcode}"),
        Subcode::Any | Subcode::Absent => String::new(),
    };
    let ranges = row.codes.iter().map(|(first, last)| {
        if first == last {
            format!("{first}{subcode}")
        } else {
            format!("{first}-{last}{subcode}")
        }
    });
    let all: Vec<String> = ranges.collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn contexts(row: &Row) -> Option<String> {
    let words: Vec<&str> = row.contexts.iter().map(|one| context(*one).1).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn words(message: Message) -> Option<String> {
    let (how, texts) = match message {
        Message::Any => return None,
        Message::Starts(texts) => ("begin with", texts),
        Message::Has(texts) => ("have", texts),
    };
    let quoted: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
    Some(format!("Meta's words {how} {}", quoted.join(" or ")))
}

/// The stable word for a kind of request, and what a person calls it.
fn context(context: Context) -> (&'static str, &'static str) {
    match context {
        Context::Dialog => ("dialog", "the login dialog"),
        Context::Code => ("code", "exchanging a code"),
        Context::Extend => ("extend", "extending a token"),
        Context::App => ("app", "checking app id and secret"),
        Context::SystemUser => ("system_user", "system users"),
        Context::Revoke => ("revoke", "revoking a token"),
        Context::Debug => ("debug", "inspecting a token"),
        Context::Page => ("page", "a Page's token"),
        Context::Pixel => ("pixel", "reading a pixel"),
        Context::Send => ("send", "sending events"),
        Context::DatasetQuality => ("dataset_quality", "reading the quality of a dataset"),
        Context::Any => ("any", "anything"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(what: Option<&str>, json: bool) -> (u8, String) {
        let args = ExplainArgs {
            what: what.map(str::to_owned),
            list: what.is_none(),
            json,
        };
        let mut out = Vec::new();
        let code = run(&args, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_asked_about_is_a_code_or_a_word() {
        for (text, asked) in [
            ("190", Asked::Code(190, None)),
            ("190/463", Asked::Code(190, Some(463))),
            ("190/0", Asked::Code(190, None)),
            ("(#100)", Asked::Code(100, None)),
            (" 100 / 36009 ", Asked::Code(100, Some(36_009))),
            ("190 463", Asked::Code(190, Some(463))),
            ("613/-", Asked::Cell("613/-".to_owned())),
            ("200-299", Asked::Cell("200-299".to_owned())),
            ("WITHOUT_VALUE", Asked::Word("without_value".to_owned())),
            ("code-used", Asked::Word("code-used".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(asked), "{text}");
        }
        for bad in ["", "190/", "190/x", "ä", "a b", "190/463/1"] {
            assert_eq!(bad.parse::<Asked>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn a_code_is_explained_with_what_to_do() {
        let (code, text) = ask(Some("190/463"), false);
        assert_eq!(code, 0);
        assert!(
            text.contains("the token has expired (token-expired)"),
            "{text}"
        );
        assert!(text.contains("capigate token login"), "{text}");
        let (code, text) = ask(Some("100/36008"), false);
        assert_eq!(code, 0);
        assert!(
            text.starts_with("100/36008  the redirect URIs differ"),
            "{text}"
        );
        assert!(!text.contains("meanings"), "{text}");
    }

    #[test]
    fn a_code_is_explained_as_an_answer_to_events() {
        let (code, text) = ask(Some("100/2804009"), false);
        assert_eq!(code, 0);
        for part in [
            "Purchase without value",
            "dead letter",
            "known:   reported",
            "→ Send",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let (_, text) = ask(Some("190/463"), false);
        let (token, events) = text.split_once("As an answer to events:").unwrap();
        assert!(
            token.contains("token-expired") && events.contains("next one"),
            "{text}"
        );
        let (_, json) = ask(Some("613/1996"), true);
        let json: Value = serde_json::from_str(&json).unwrap();
        let case = &json["cases"].as_array().unwrap().last().unwrap();
        assert_eq!(
            (&case["about"], &case["outcome"]),
            (&json!("events"), &json!("throttled"))
        );
        assert_eq!(
            (&case["scope"], &case["evidence"]),
            (&json!("token"), &json!("documented"))
        );
    }

    #[test]
    fn a_word_of_the_gateway_is_explained() {
        for code in codes::all() {
            let (exit, text) = ask(Some(code.word()), false);
            assert_eq!(exit, 0, "{code}");
            assert!(text.contains(code.row().next), "{text}");
        }
        let (_, text) = ask(Some("without_value"), false);
        assert!(
            text.contains("100/2804009") && text.contains("README.md#code-"),
            "{text}"
        );
    }

    #[test]
    fn a_code_with_several_meanings_shows_all_of_them() {
        let (code, text) = ask(Some("1"), false);
        assert_eq!(code, 0);
        assert!(
            text.contains("app-secret-wrong") && text.contains("meta-trouble"),
            "{text}"
        );
        assert!(text.contains("meanings"), "{text}");
    }

    #[test]
    fn an_unknown_code_is_said_to_be_one() {
        for what in ["987654", "190/987654321/", "no-such-word"] {
            let args = ExplainArgs {
                what: Some(what.to_owned()),
                list: false,
                json: false,
            };
            let mut out = Vec::new();
            match run(&args, &mut out) {
                Ok(code) => {
                    assert_eq!(code, WRONG, "{what}");
                    let text = String::from_utf8(out).unwrap();
                    let says = match what {
                        "no-such-word" => "no word that is known",
                        _ => "not in this program's catalogue",
                    };
                    assert!(text.contains(says), "{text}");
                }
                Err(error) => assert!(error.to_string().contains("190/463"), "{error}"),
            }
        }
        let (code, json) = ask(Some("987654"), true);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!((code, &json["cases"]), (WRONG, &json!([])));
    }

    #[test]
    fn every_first_cell_of_the_list_is_an_argument() {
        let (_, list) = ask(None, false);
        for line in list.lines().skip(1) {
            let cell = line.split("  ").next().unwrap();
            let (code, text) = ask(Some(cell), false);
            assert_eq!(code, 0, "{cell}: {text}");
            assert!(text.contains("→ "), "{cell}: {text}");
        }
    }

    #[test]
    fn words_that_are_no_codes_are_told_apart() {
        for word in [
            "refused",
            "expired",
            "too_large",
            "unconfirmed",
            "view_only",
        ] {
            assert_eq!(ask(Some(word), false).0, 0, "{word}");
        }
        let (code, text) = ask(Some("without_valeu"), false);
        assert_eq!(code, WRONG);
        assert!(text.contains("Did you mean without_value?"), "{text}");
        assert!(!text.contains("Meta"), "{text}");
    }

    #[test]
    fn the_list_has_every_case_and_each_can_be_asked_for() {
        let (code, text) = ask(None, false);
        let all = rows().count() + explain::rows().count() + codes::all().count();
        assert_eq!((code, text.lines().count()), (0, all + 1));
        let (_, json) = ask(None, true);
        let json: Value = serde_json::from_str(&json).unwrap();
        let cases = json["cases"].as_array().unwrap();
        assert_eq!(cases.len(), all);
        for case in cases {
            let word = case["word"].as_str().unwrap();
            if let Some(first) = case["codes"][0]["first"].as_i64() {
                let shown = ask(Some(&first.to_string()), true).1;
                assert!(shown.contains(&format!("\"{word}\"")), "{first} {word}");
            }
            if case["about"] != "events" {
                let (code, text) = ask(Some(word), false);
                assert_eq!(code, 0, "{word}");
                assert!(text.contains("→ "), "{text}");
            }
        }
    }
}
