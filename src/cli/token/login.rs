//! `capigate token login`: a token through the browser. Checks what can be checked before, opens
//! Facebook's dialog, takes its answer on this machine or from the terminal, exchanges the code at
//! once, and keeps the token.

mod args;
mod attempt;
mod browser;
mod finish;
mod listener;
mod typed;
mod words;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::ask;
use super::desk::Desk;
use super::obtained::Keep;
use super::say::Report;
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::{App, Ask, Caught, Exit, Granted, Redirect, Row, by_slug};
use attempt::{Answer, Attempt, LIFETIME, Offer, Outcome};
use finish::{Finished, keep_declined};
use listener::{Listener, Local, Serving};
use typed::Typed;

pub(super) use args::LoginArgs;

/// What a login came to.
enum End {
    /// It is all told.
    Done,
    /// These permissions were refused; the token may do without them what it may.
    Declined(Vec<String>, Granted),
}

pub(super) async fn run(args: &LoginArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = login(args, &mut report).await;
    report.close(done)
}

async fn login(args: &LoginArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let redirect_uri = args.redirect_uri()?;
    let contents = desk.contents()?;
    if args.url_only {
        let url = args.address(&desk, &contents, &redirect_uri)?;
        report.set("url", url.as_str())?;
        report.set("redirect_uri", &redirect_uri)?;
        return report.say(url.as_str());
    }
    let app = args.app(&desk, &contents)?;
    let keep = args.keep(&contents, &app);
    keep.check(&desk)?;
    report.set("app_id", &app.id)?;
    report.set("redirect_uri", &redirect_uri)?;
    let mut rerequest = args.rerequest;
    loop {
        let end = log_in(args, &desk, report, &app, &redirect_uri, rerequest, &keep);
        match end.await? {
            End::Done => return Ok(()),
            End::Declined(scopes, granted) => {
                let says = format!("these permissions were refused: {}", scopes.join(", "));
                let question = format!("{says}. Log in again and ask for them?");
                let again = !rerequest && ask::offered(&question)?;
                let refused = Finding::new("permissions", Mark::Fail, says)
                    .next("log in again and allow them: `capigate token login --rerequest`")
                    .exit(Exit::Permission);
                if !again {
                    report.tell(refused)?;
                }
                keep_declined(&desk, report, granted, &keep, again).await?;
                if !again {
                    return Ok(());
                }
                rerequest = true;
            }
        }
    }
}

/// One visit to the dialog, to its end.
async fn log_in(
    args: &LoginArgs,
    desk: &Desk,
    report: &mut Report<'_>,
    app: &App,
    redirect_uri: &str,
    rerequest: bool,
    keep: &Keep,
) -> anyhow::Result<End> {
    let local = Local::of(redirect_uri);
    let listener = match &local {
        Some(local) => {
            let bound = Listener::bind(local.port).await;
            Some(bound.map_err(|error| failure(USAGE, format!("{error} ({})", error.code())))?)
        }
        None => None,
    };
    let (attempt, answered) =
        Attempt::start(app.clone(), redirect_uri.to_owned(), desk.clock.clone())?;
    let attempt = Arc::new(attempt);
    let serving = listener
        .zip(local)
        .map(|(listener, local)| listener.serve(local, Arc::clone(&attempt)));
    let reads = std::io::stdin().is_terminal() || args.no_browser || serving.is_none();
    let typed = reads.then(Typed::start).transpose()?;

    tell(report, &words::before(redirect_uri, serving.is_some()))?;
    let url = attempt.url(&desk.client, args.ask(), rerequest);
    if args.no_browser {
        tell(report, words::OPEN_IT)?;
    } else {
        let launchers = browser::launchers(&desk.config, url.as_str());
        let opened = tokio::task::spawn_blocking(move || browser::open(launchers)).await;
        tell(report, words::browser(opened.unwrap_or(false)))?;
    }
    tell(report, &words::address(&url))?;
    tell(report, &words::waiting(args.timeout, typed.is_some()))?;
    let answer = wait(
        args.timeout,
        &attempt,
        answered,
        typed,
        serving.as_ref(),
        report,
    )
    .await?;
    let end = match answer {
        None => {
            fail(report, by_slug("dialog-no-answer"), None)?;
            End::Done
        }
        Some(answer) => conclude(args, desk, report, &attempt, answer, keep).await?,
    };
    if let Some(serving) = serving {
        serving.stop().await;
    }
    Ok(end)
}

/// Waits for the one answer, from the browser or from the person; none when it does not come.
async fn wait(
    timeout: Duration,
    attempt: &Attempt,
    mut answered: oneshot::Receiver<Answer>,
    mut typed: Option<Typed>,
    serving: Option<&Serving>,
    report: &mut Report<'_>,
) -> anyhow::Result<Option<Answer>> {
    let mut over = std::pin::pin!(tokio::time::sleep(timeout));
    let answer = loop {
        let line = async {
            match &mut typed {
                Some(typed) => typed.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = &mut answered => break answer.ok(),
            () = &mut over => break None,
            line = line => match line {
                Some(line) if line.trim().is_empty() => {}
                Some(line) => if let Offer::NoAnswer(error) = attempt.offer(&line, Caught::Paste) {
                    tell(report, &words::not_it(error))?;
                },
                None => {
                    // the browser may still come
                    if serving.is_none() {
                        break None;
                    }
                    typed.take().map(Typed::stop).unwrap_or_default();
                }
            },
        }
    };
    if let Some(typed) = typed {
        typed.stop();
    }
    Ok(answer)
}

/// Goes on from the answer.
async fn conclude(
    args: &LoginArgs,
    desk: &Desk,
    report: &mut Report<'_>,
    attempt: &Attempt,
    answer: Answer,
    keep: &Keep,
) -> anyhow::Result<End> {
    let (row, words) = match answer.outcome {
        Outcome::Came(Redirect::Code(code)) => {
            let asked = match args.ask() {
                Ask::Scopes(scopes) => scopes,
                Ask::Config(_) => &[],
            };
            let finished = Finished {
                desk,
                attempt,
                came_at: answer.at,
                asked,
                keep,
            };
            return finished.finish(report, &code).await;
        }
        Outcome::Came(other) => {
            let row = other.explain();
            let (Redirect::Denied { message } | Redirect::Failed { message, .. }) = other else {
                return Ok(End::Done);
            };
            (row, message.map(|message| message.to_string()))
        }
        Outcome::Refused(error) => (Some(error.explain()), None),
        Outcome::TooLate => {
            return report.tell(too_late()).map(|()| End::Done);
        }
    };
    fail(report, row, words)?;
    Ok(End::Done)
}

/// Tells that no login came of it, in the catalogue's words and in those that came along.
fn fail(report: &mut Report<'_>, row: Option<&Row>, words: Option<String>) -> anyhow::Result<()> {
    let mut failed = match row {
        Some(row) => Finding::new("login", Mark::Fail, format!("{}: {}", row.title, row.says))
            .next(row.next)
            .exit(row.exit),
        None => Finding::new("login", Mark::Fail, "no login came of it").exit(Exit::Cancelled),
    };
    failed.words = words;
    report.tell(failed)
}

fn too_late() -> Finding {
    let minutes = LIFETIME.as_secs() / 60;
    let says = format!(
        "the answer came more than {minutes} minutes after the start, so its code was not used"
    );
    Finding::new("login", Mark::Fail, says)
        .next("log in again: `capigate token login`")
        .exit(Exit::Cancelled)
}

/// Words for the person at the terminal, who is there also when another program reads the output.
fn tell(report: &mut Report<'_>, text: &str) -> anyhow::Result<()> {
    if report.is_json() {
        writeln!(std::io::stderr(), "{text}")?;
        return Ok(());
    }
    report.say(text)
}
