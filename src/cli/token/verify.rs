//! `capigate token verify`: whether a token works for its pixels, rung by rung.

use std::collections::BTreeSet;
use std::io::Write;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk};
use super::look::{Looked, shown};
use super::say::Report;
use super::which::{Which, look_at};
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::custody::Kept;
use crate::custody::alarms::NEEDED_SCOPE;
use crate::custody::ladder::{Finding, Mark, rungs, send_test};
use crate::graph::oauth::{Context, Exit};
use crate::pixel::PixelId;
use crate::tokens::paste::test_code_shape;

/// What Meta says of test events.
const WARNING: &str = "A test event is not a rehearsal: Meta does not drop events with a test code. They show under \
     Test events, and are used for targeting and measurement like any other. The event is named \
     GatewayTokenCheck, has no value, and is about a person who does not exist.";

#[derive(Args, Debug)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    which: Which,
    /// Send one test event, which Meta counts as a real one
    #[arg(long)]
    send_test: bool,
    /// The test code that the Events Manager shows under Test events; without it, that of the
    /// pixel's configuration
    #[arg(long, value_name = "CODE", requires = "send_test")]
    test_event_code: Option<String>,
    /// Send it without asking
    #[arg(long, requires = "send_test")]
    yes: bool,
}

pub(super) async fn run(args: VerifyArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = verify(&args, &mut report).await;
    report.close(done)
}

async fn verify(args: &VerifyArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let contents = desk.contents()?;
    let kept = args.which.find(&desk, &contents)?;
    let served = kept.pixels.iter().map(|(pixel, _)| *pixel);
    let pixels: BTreeSet<PixelId> = match args.which.pixel {
        Some(pixel) => [pixel].into(),
        None => served.collect(),
    };
    let test = args
        .send_test
        .then(|| target(args, &desk, &pixels))
        .transpose()?;
    let Some(looked) = look_at(&desk, report, &kept).await? else {
        return Ok(());
    };
    let (now, app) = (desk.clock.now(), looked.app.as_ref());
    let facts = &looked.seen.facts;
    report.set("token", shown(&kept.label, &kept.secret, facts, now))?;
    report.set("pixels", &pixels)?;
    let targets: Vec<Option<PixelId>> = if pixels.is_empty() {
        vec![None]
    } else {
        pixels.iter().copied().map(Some).collect()
    };
    for pixel in targets {
        if let Some(pixel) = pixel.filter(|_| pixels.len() > 1) {
            report.say(&format!("\npixel {pixel}"))?;
        }
        let seen = &looked.seen;
        report.tell_all(rungs(&desk.client, &kept.secret, app, pixel, seen, now).await)?;
    }
    match test {
        Some((pixel, code)) if report.has_failed() => report.tell(Finding::new(
            "test_event",
            Mark::Skipped,
            format!("no test event was sent to pixel {pixel} with the code {code}, since it would be refused"),
        )),
        Some((pixel, code)) => send(args, &desk, report, &kept, &looked, pixel, &code).await,
        None => Ok(()),
    }
}

/// Where the test event goes, and with which code.
fn target(
    args: &VerifyArgs,
    desk: &Desk,
    pixels: &BTreeSet<PixelId>,
) -> anyhow::Result<(PixelId, String)> {
    let mut all = pixels.iter();
    let (Some(pixel), None) = (all.next(), all.next()) else {
        return Err(failure(
            USAGE,
            "say to which pixel the test event goes: --pixel ID",
        ));
    };
    let configured = desk.config.pixels.get(pixel);
    let configured = configured.and_then(|pixel| pixel.test_event_code.clone());
    let Some(code) = args.test_event_code.clone().or(configured) else {
        return Err(failure(
            USAGE,
            "say which test code: --test-event-code TEST12345 (Events Manager, the dataset, Test events)",
        ));
    };
    let code = test_code_shape(&code).map_err(|error| failure(USAGE, error.to_string()))?;
    Ok((*pixel, code.to_owned()))
}

async fn send(
    args: &VerifyArgs,
    desk: &Desk,
    report: &mut Report<'_>,
    kept: &Kept,
    looked: &Looked,
    pixel: PixelId,
    code: &str,
) -> anyhow::Result<()> {
    report.say(&format!("\n{WARNING}\n"))?;
    report.set("test_event_warning", WARNING)?;
    if !ask::yes(&format!("Send one to pixel {pixel}?"), args.yes)? {
        return report.cancelled("test_event", "no test event was sent");
    }
    let (now, app) = (desk.clock.now(), looked.app.as_ref());
    let sent = send_test(&desk.client, &kept.secret, app, pixel, code, now).await;
    let sent = match sent {
        Ok(sent) => sent,
        Err(error) => {
            report.refused("test_event", Context::Send, &error)?;
            let facts = &looked.seen.facts;
            let lacks = !facts.scopes.iter().any(|scope| scope == NEEDED_SCOPE);
            if lacks && !facts.scopes.is_empty() {
                let says = format!("{NEEDED_SCOPE} is missing, and sending failed");
                report.tell(
                    Finding::new("scopes", Mark::Fail, says)
                        .next(format!("make a new token with {NEEDED_SCOPE}"))
                        .exit(Exit::Permission),
                )?;
            }
            return Ok(());
        }
    };
    let trace = sent.trace_id.as_ref().map(ToString::to_string);
    let messages: Vec<String> = sent.messages.iter().map(ToString::to_string).collect();
    report.set("events_received", sent.events_received)?;
    report.set("trace_id", &trace)?;
    report.set("messages", &messages)?;
    let mark = if sent.events_received == 1 {
        Mark::Pass
    } else {
        Mark::Fail
    };
    let says = format!(
        "sent one test event with the code {code}: events received: {}",
        sent.events_received
    );
    let mut finding = Finding::new("test_event", mark, says)
        .next(format!("look for it in the Events Manager, dataset {pixel}, Test events, where it should be at once"));
    finding.trace_id = trace;
    finding.words = (!messages.is_empty()).then(|| messages.join("; "));
    report.tell(finding)
}
