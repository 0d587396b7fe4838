//! One question at a time, on standard error, with the answer from standard input.

use std::io::{BufRead, Read, Write};

use crate::cli::USAGE;
use crate::cli::client::failure;

/// Bytes of an answer.
const MAX_ANSWER: u64 = 4096;
/// How often one question is asked.
const MAX_TRIES: usize = 5;
/// Characters from which on what begins like a token is taken for one.
const TOKEN_FROM: usize = 20;

/// Asks until the answer is a good one. Enter alone is what is proposed.
pub(super) fn ask_until<T>(
    question: &str,
    proposed: Option<&str>,
    check: impl Fn(&str) -> Result<T, String>,
) -> anyhow::Result<T> {
    let stdin = std::io::stdin();
    let mut err = std::io::stderr();
    dialogue(question, proposed, check, &mut stdin.lock(), &mut err)
}

/// Lets the person choose one of these; the first is proposed. Gives its place.
pub(super) fn choose(question: &str, all: &[&str]) -> anyhow::Result<usize> {
    let numbered: Vec<String> = (1..)
        .zip(all)
        .map(|(number, text)| format!("\n  {number}  {text}"))
        .collect();
    let whole = format!("{question}{}\nThe number", numbered.concat());
    let count = all.len();
    ask_until(&whole, Some("1"), |answer| {
        let number: Option<usize> = answer.parse().ok();
        let place = number.and_then(|number| number.checked_sub(1));
        place
            .filter(|place| *place < count)
            .ok_or_else(|| format!("expected a number from 1 to {count}"))
    })
}

fn dialogue<T>(
    question: &str,
    proposed: Option<&str>,
    check: impl Fn(&str) -> Result<T, String>,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<T> {
    let hint = match proposed {
        None => String::new(),
        Some("") => " (Enter leaves it out)".to_owned(),
        Some(proposed) => format!(" [{proposed}]"),
    };
    for _ in 0..MAX_TRIES {
        write!(out, "{question}{hint}: ")?;
        out.flush()?;
        let mut answer = String::new();
        let read = (&mut *input).take(MAX_ANSWER).read_line(&mut answer);
        if read.is_err() || answer.is_empty() {
            writeln!(out)?;
            break;
        }
        let answer = answer.trim();
        let said = match answer {
            "" => proposed.unwrap_or_default(),
            answer if looks_secret(answer) => {
                writeln!(
                    out,
                    "this looks like a token, which is asked for later, unseen"
                )?;
                continue;
            }
            answer => answer,
        };
        match check(said) {
            Ok(value) => return Ok(value),
            Err(why) => writeln!(out, "{why}")?,
        }
    }
    let first = question.lines().next().unwrap_or_default();
    Err(failure(
        USAGE,
        format!(
            "there was no answer to: {first}. Run `capigate token setup` again: what is done is not asked for twice"
        ),
    ))
}

fn looks_secret(answer: &str) -> bool {
    let is_long = answer.chars().count() >= TOKEN_FROM;
    is_long && (answer.starts_with("EAA") || answer.contains('|'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(answer: &str) -> Result<u8, String> {
        answer.parse().map_err(|_| "expected a number".to_owned())
    }

    fn talk(proposed: Option<&str>, input: &str) -> (anyhow::Result<u8>, String) {
        let mut out = Vec::new();
        let said = dialogue(
            "How many",
            proposed,
            number,
            &mut input.as_bytes(),
            &mut out,
        );
        (said, String::from_utf8(out).unwrap())
    }

    #[test]
    fn it_is_asked_until_the_answer_is_good() {
        let (said, out) = talk(None, "many\n 7 \n");
        assert_eq!(
            (said.unwrap(), out.as_str()),
            (7, "How many: expected a number\nHow many: ")
        );
        let (said, out) = talk(Some("3"), "\n");
        assert_eq!((said.unwrap(), out.as_str()), (3, "How many [3]: "));
    }

    #[test]
    fn it_gives_up_at_the_end_of_the_input_and_after_some_tries() {
        for input in ["", "x\n", &"x\n".repeat(50)] {
            let (said, out) = talk(None, input);
            assert!(said.unwrap_err().to_string().contains("How many"));
            assert!(out.matches("How many").count() <= MAX_TRIES, "{out}");
        }
    }

    #[test]
    fn a_token_in_the_wrong_place_is_not_taken_nor_shown() {
        let (said, out) = talk(
            None,
            "EAAcanary0123456789canary\n1000000001|canary-canary\n5\n",
        );
        assert_eq!(said.unwrap(), 5);
        assert!(
            out.contains("looks like a token") && !out.contains("canary"),
            "{out}"
        );
    }
}
