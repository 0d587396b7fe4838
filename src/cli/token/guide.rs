//! `capigate token guide`: the ways through Meta's pages, in plain words.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::failure;
use crate::cli::{OK, USAGE, print_json};

/// Walk through Meta's pages, step by step.
#[derive(Debug, Args)]
pub(super) struct GuideArgs {
    /// What about; without it the topics are listed
    topic: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The name of a topic and its text, whose first line is its title.
struct Topic {
    name: &'static str,
    text: &'static str,
}

/// In the order in which most people need them.
const TOPICS: [Topic; 11] = [
    topic("pixel", include_str!("guide/pixel.txt")),
    topic("dataset-token", include_str!("guide/dataset-token.txt")),
    topic("test-code", include_str!("guide/test-code.txt")),
    topic("app", include_str!("guide/app.txt")),
    topic("system-user", include_str!("guide/system-user.txt")),
    topic("login", include_str!("guide/login.txt")),
    topic("page-token", include_str!("guide/page-token.txt")),
    topic("troubleshooting", include_str!("guide/troubleshooting.txt")),
    topic("lost-token", include_str!("guide/lost-token.txt")),
    topic("backup", include_str!("guide/backup.txt")),
    topic("differences", include_str!("guide/differences.txt")),
];

const fn topic(name: &'static str, text: &'static str) -> Topic {
    Topic { name, text }
}

impl Topic {
    fn title(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// The text of a topic; none when there is no such topic.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let topic = TOPICS.iter().find(|topic| topic.name == name);
    topic.map(|topic| topic.text)
}

pub(super) fn run(args: &GuideArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(name) = &args.topic else {
        return list(args.json, out);
    };
    let Some(topic) = TOPICS.iter().find(|topic| topic.name == name) else {
        let names = TOPICS.map(|topic| topic.name).join(", ");
        return Err(failure(
            USAGE,
            format!("there is no guide of that name; the topics are {names}"),
        ));
    };
    if args.json {
        let whole = json!({ "topic": topic.name, "title": topic.title(), "text": topic.text });
        return print_json(out, &whole);
    }
    out.write_all(topic.text.as_bytes())?;
    Ok(OK)
}

fn list(json: bool, out: &mut dyn Write) -> anyhow::Result<u8> {
    if json {
        let one = |topic: &Topic| json!({ "topic": topic.name, "title": topic.title() });
        let topics: Vec<Value> = TOPICS.iter().map(one).collect();
        return print_json(out, &json!({ "topics": topics }));
    }
    for topic in &TOPICS {
        writeln!(out, "{:<16} {}", topic.name, topic.title())?;
    }
    writeln!(out, "\ncapigate token guide TOPIC shows one.")?;
    Ok(OK)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    fn guide(topic: Option<&str>, json: bool) -> anyhow::Result<String> {
        let args = GuideArgs {
            topic: topic.map(str::to_owned),
            json,
        };
        let mut out = Vec::new();
        run(&args, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn topics_are_listed_shown_and_refused() {
        let json: Value = serde_json::from_str(&guide(None, true).unwrap()).unwrap();
        let topics = json["topics"].as_array().unwrap();
        assert_eq!(topics.len(), TOPICS.len());
        let list = guide(None, false).unwrap();
        for topic in topics {
            let name = topic["topic"].as_str().unwrap();
            assert!(list.contains(name));
            let text = guide(Some(name), false).unwrap();
            assert!(text.starts_with(topic["title"].as_str().unwrap()));
        }
        let refused = guide(Some("pixels"), false).unwrap_err().to_string();
        assert!(refused.contains("dataset-token"), "{refused}");
    }

    #[test]
    fn lines_fit_a_terminal_and_name_no_http_address_but_localhost() {
        for topic in &TOPICS {
            for line in topic.text.lines() {
                assert!(line.chars().count() <= 101, "{}: {line}", topic.name);
                let plain = line.replace("http://localhost", "");
                assert!(!plain.contains("http://"), "{}: {line}", topic.name);
            }
            assert!(topic.text.ends_with('\n') && topic.text.lines().nth(1) == Some(""));
        }
    }

    #[test]
    fn every_command_in_a_guide_is_one() {
        let mut seen = 0;
        for topic in &TOPICS {
            let whole = topic.text.lines().map(str::trim);
            let quoted = topic.text.split('`').skip(1).step_by(2);
            for command in whole
                .chain(quoted)
                .filter(|text| text.starts_with("capigate "))
            {
                let words = command.split_whitespace().map(|word| match word {
                    "ID" => "1234567890123456",
                    "NAME" => "shop",
                    "CODE" => "TEST12345",
                    "FILE" => "vault.key",
                    other => other,
                });
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{}: {command}: {parsed:?}", topic.name);
                seen += 1;
            }
        }
        assert!(seen > 25, "only {seen} commands found");
    }
}
