//! One alert in the words of each channel.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Alert, Severity};
use crate::time::UnixMs;

/// Characters of a key, a title or a token's name.
const MAX_LINE: usize = 200;
/// Characters of what happened.
const MAX_TEXT: usize = 4000;
/// Characters of what to do.
const MAX_NEXT: usize = 2000;
/// Pixels that are named.
const MAX_PIXELS: usize = 100;

/// An alert, or that it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) alert: Alert,
    pub(super) resolved: bool,
}

/// The alert within its lengths, without control characters but for line breaks in texts.
pub(super) fn cut(alert: Alert) -> Alert {
    let mut pixels = alert.pixels;
    pixels.truncate(MAX_PIXELS);
    Alert {
        key: cut_key(&alert.key),
        severity: alert.severity,
        title: line(&alert.title),
        text: lines(&alert.text, MAX_TEXT),
        next: lines(&alert.next, MAX_NEXT),
        pixels,
        token: alert.token.as_deref().map(line),
        at: alert.at,
    }
}

/// The key within its length.
pub(super) fn cut_key(key: &str) -> String {
    line(key)
}

fn line(text: &str) -> String {
    text.replace(char::is_control, " ")
        .chars()
        .take(MAX_LINE)
        .collect()
}

fn lines(text: &str, most: usize) -> String {
    let kept = |c: &char| *c == '\n' || !c.is_control();
    text.chars().filter(kept).take(most).collect()
}

impl Message {
    pub(super) fn raised(alert: Alert) -> Self {
        Self {
            alert,
            resolved: false,
        }
    }

    pub(super) fn resolved(alert: Alert) -> Self {
        Self {
            alert,
            resolved: true,
        }
    }

    /// What `capigate alert test` sends.
    pub(super) fn test(now: UnixMs) -> Self {
        Self::raised(Alert {
            key: "alerts:test".to_owned(),
            severity: Severity::Info,
            title: "this is a test alert".to_owned(),
            text: "Someone ran `capigate alert test`. Real alerts come the same way.".to_owned(),
            next: "nothing: it works".to_owned(),
            pixels: Vec::new(),
            token: None,
            at: now,
        })
    }

    /// How urgent the message itself is.
    pub(super) fn severity(&self) -> Severity {
        if self.resolved {
            Severity::Info
        } else {
            self.alert.severity
        }
    }

    /// Its title and whether it is over.
    pub(super) fn headline(&self) -> String {
        let over = if self.resolved { "resolved: " } else { "" };
        format!("{over}{}", self.alert.title)
    }

    pub(super) fn log(&self) {
        let headline = self.headline();
        let Alert {
            key, text, next, ..
        } = &self.alert;
        let severity = self.alert.severity.code();
        match self.severity() {
            Severity::Info => {
                tracing::info!(alert.key = %key, alert.severity = severity, alert.resolved = self.resolved, "{headline}");
            }
            Severity::Warning => {
                tracing::warn!(alert.key = %key, alert.severity = severity, alert.text = text, alert.next = next, "{headline}");
            }
            Severity::Critical => {
                tracing::error!(alert.key = %key, alert.severity = severity, alert.text = text, alert.next = next, "{headline}");
            }
        }
    }

    /// The body of the webhook. `text` holds all that a person needs, since Slack's and
    /// Mattermost's incoming webhooks show it and nothing else; `detail` is what happened alone.
    pub(super) fn json(&self, instance: &str) -> Value {
        let alert = &self.alert;
        let mark = if self.resolved {
            "resolved"
        } else {
            alert.severity.code()
        };
        let mut text = format!("[{mark}] {} ({instance})", alert.title);
        if !self.resolved {
            for (head, part) in [("", &alert.text), ("What to do: ", &alert.next)] {
                if !part.is_empty() {
                    // writing to a String cannot fail
                    let _ = write!(text, "\n{head}{part}");
                }
            }
        }
        json!({
            "key": alert.key,
            "severity": alert.severity.code(),
            "title": alert.title,
            "text": text,
            // what was to be done is done
            "detail": if self.resolved { "" } else { &alert.text },
            "next": if self.resolved { "" } else { &alert.next },
            "pixels": alert.pixels,
            "token": alert.token,
            "at": alert.at.0,
            "resolved": self.resolved,
            "instance": instance,
        })
    }

    /// The subject of the mail.
    pub(super) fn subject(&self, instance: &str) -> String {
        let mark = if self.resolved {
            "resolved"
        } else {
            self.alert.severity.code()
        };
        format!("[capigate] {mark}: {} ({instance})", self.alert.title)
    }

    /// The text of the mail.
    pub(super) fn body(&self, instance: &str) -> String {
        let alert = &self.alert;
        let mut parts = Vec::new();
        if self.resolved {
            parts.push(format!("This is over: {}", alert.title));
        } else {
            parts.push(alert.title.clone());
            parts.extend(
                [&alert.text]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .cloned(),
            );
            if !alert.next.is_empty() {
                parts.push(format!(
                    "What to do:\n\n  {}",
                    alert.next.replace('\n', "\n  ")
                ));
            }
        }
        let pixels: Vec<String> = alert.pixels.iter().map(ToString::to_string).collect();
        let mut facts = vec![("gateway", instance.to_owned())];
        if !pixels.is_empty() {
            facts.push(("pixels", pixels.join(", ")));
        }
        facts.extend(alert.token.clone().map(|token| ("token", token)));
        facts.push(("severity", alert.severity.code().to_owned()));
        facts.push(("about", alert.key.clone()));
        let at = jiff::Timestamp::from_second(alert.at.secs());
        facts.extend(at.ok().map(|at| ("time", at.to_string())));
        let facts: Vec<String> = (facts.iter())
            .map(|(name, fact)| format!("{name}: {fact}"))
            .collect();
        parts.push(facts.join("\n"));
        parts.join("\n\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(resolved: bool) -> Message {
        let alert = cut(Alert {
            key: "token:9817945f:expires".to_owned(),
            severity: Severity::Warning,
            title: "a token expires in 7 days\r\nBcc: x@example.com".to_owned(),
            text: "It was made 53 days ago.\u{1b}[2J".to_owned(),
            next: "run:\ncapigate auth rotate".to_owned(),
            pixels: vec!["1234567890123456".parse().unwrap()],
            token: Some("EAAt…Only".to_owned()),
            at: UnixMs(1_795_305_600_500),
        });
        Message { alert, resolved }
    }

    #[test]
    fn a_webhook_gets_all_of_it_and_a_text_for_people() {
        let body = message(false).json("shop-eu");
        let want = json!({
            "key": "token:9817945f:expires",
            "severity": "warning",
            "title": "a token expires in 7 days  Bcc: x@example.com",
            "text": "[warning] a token expires in 7 days  Bcc: x@example.com (shop-eu)\nIt was made 53 days ago.[2J\nWhat to do: run:\ncapigate auth rotate",
            "detail": "It was made 53 days ago.[2J",
            "next": "run:\ncapigate auth rotate",
            "pixels": ["1234567890123456"],
            "token": "EAAt…Only",
            "at": 1_795_305_600_500_i64,
            "resolved": false,
            "instance": "shop-eu",
        });
        assert_eq!(body, want);
        let over = message(true).json("shop-eu");
        assert_eq!(over["resolved"], true);
        assert!(
            over["text"]
                .as_str()
                .unwrap()
                .starts_with("[resolved] a token")
        );
    }

    #[test]
    fn a_mail_says_what_to_do_and_its_subject_is_one_line() {
        let message = message(false);
        assert_eq!(
            message.subject("shop-eu"),
            "[capigate] warning: a token expires in 7 days  Bcc: x@example.com (shop-eu)"
        );
        let body = message.body("shop-eu");
        assert!(
            body.contains("What to do:\n\n  run:\n  capigate auth rotate\n\n"),
            "{body}"
        );
        assert!(
            body.ends_with("gateway: shop-eu\npixels: 1234567890123456\ntoken: EAAt…Only\nseverity: warning\nabout: token:9817945f:expires\ntime: 2026-11-22T00:00:00Z\n"),
            "{body}"
        );
    }

    #[test]
    fn everything_is_cut_to_its_length() {
        let long = "é".repeat(9999);
        let alert = cut(Alert {
            key: long.clone(),
            title: long.clone(),
            text: long.clone(),
            next: long.clone(),
            token: Some(long),
            pixels: vec!["1".parse().unwrap(); 9999],
            ..message(false).alert
        });
        let chars =
            [&alert.key, &alert.title, &alert.text, &alert.next].map(|text| text.chars().count());
        assert_eq!(chars, [MAX_LINE, MAX_LINE, MAX_TEXT, MAX_NEXT]);
        assert_eq!(alert.token.unwrap().chars().count(), MAX_LINE);
        assert_eq!(alert.pixels.len(), MAX_PIXELS);
    }
}
