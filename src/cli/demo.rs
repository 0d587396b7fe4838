//! `capigate demo`: the whole path of an event on one machine, for a person to watch.
//!
//! Act one runs a gateway as a process of its own, while Graph is down, and kills it with SIGKILL
//! after it has answered. Act two opens the same journal in this process, with Graph up again.

mod samples;
mod table;
mod victim;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::app::{App, Running, signals::Signals};
use crate::config::Config;
use crate::journal::segment::disk::RealDisk;
use crate::pixel::PixelId;
use crate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use crate::time::Clock;

use super::{OK, WRONG};

/// Made up, like everything else here.
const PIXEL: &str = "1234567890123456";
const KEY: &str = "demo-key";
const TOKEN: &str = "demo-sandbox-token";
const ENV: [(&str, &str); 2] = [("CAPIGATE_DEMO_KEY", KEY), ("CAPIGATE_DEMO_TOKEN", TOKEN)];
/// How long the demo waits for its events before it calls that a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the demo ends.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// End when everything is delivered, instead of staying up until Ctrl-C.
    #[arg(long)]
    once: bool,
}

/// The gateway's answer to the samples.
struct Answer {
    status: u16,
    body: Value,
}

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<u8> {
    let mut out = std::io::stdout();
    let mut signals = Signals::new()?;
    let dir = tempfile::tempdir().context("no temporary directory can be made")?;
    let sandbox = Sandbox::start(sandbox_settings(), Clock::Real).await?;
    let config = write_config(dir.path(), &sandbox.url())?;
    let events = samples::events(Clock::Real.now().secs())?;
    writeln!(out, "capigate demo, in {}", dir.path().display())?;
    writeln!(
        out,
        "A simulated Graph listens on {}. It is not Meta, and nothing leaves this machine.",
        sandbox.url()
    )?;

    let acts = async {
        let answer = act_one(&mut out, &sandbox, &config, &events).await?;
        let running = act_two(&mut out, &sandbox, &config).await?;
        anyhow::Ok((answer, running))
    };
    let (answer, running) = tokio::select! {
        done = acts => done?,
        _ = signals.next() => bail!("interrupted before the end"),
    };
    let good = report(&mut out, &sandbox, &running, &events, &answer)?;
    if !args.once {
        outlook(&mut out, &sandbox, &running, &config)?;
        signals.next().await;
    }
    running.stop().await;
    sandbox.stop().await;
    Ok(if good { OK } else { WRONG })
}

/// Takes the events while Graph is down, and is killed.
async fn act_one(
    out: &mut dyn Write,
    sandbox: &Sandbox,
    config: &Path,
    events: &[Value],
) -> anyhow::Result<Answer> {
    sandbox.add_fault(Fault::status(503).forever());
    let victim = victim::Victim::start(config, &ENV).await?;
    writeln!(
        out,
        "\nAct one. Graph is down (it answers 503). A gateway runs as process {}.",
        victim.pid
    )?;
    let answer = post(&victim.ingest, events).await?;
    writeln!(
        out,
        "  {} events posted to it; it answers {} with events_received {}: the good ones are on disk.",
        events.len(),
        answer.status,
        answer.body["events_received"]
    )?;
    let pid = victim.pid;
    victim.kill().await?;
    writeln!(
        out,
        "  kill -9 {pid}: the gateway is gone before anything was delivered."
    )?;
    sandbox.clear_faults();
    Ok(answer)
}

/// Opens the same journal again, with Graph up, and waits for the deliveries.
async fn act_two(out: &mut dyn Write, sandbox: &Sandbox, config: &Path) -> anyhow::Result<Running> {
    let config = match Config::load(&[config.to_owned()], std::iter::empty()) {
        Ok(config) => config,
        Err(faults) => bail!("the demo's own configuration is wrong: {faults}"),
    };
    let env = |name: &str| {
        ENV.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    };
    let running = App::build_with(config, Clock::Real, &env, Arc::new(RealDisk))
        .await?
        .start()?;
    let recovered = running.metrics().journal_recovered.get();
    writeln!(
        out,
        "\nAct two. Graph is up. A new gateway opens the same journal and finds {recovered} events."
    )?;
    let wait = async {
        sandbox.accepted_at_least(samples::GOOD as u64).await;
        while running.journal().depth().records > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        writeln!(
            out,
            "  Not everything was delivered in {} s.",
            PATIENCE.as_secs()
        )?;
    }
    Ok(running)
}

/// Prints the table; true when every good event was delivered and the bad one refused.
fn report(
    out: &mut dyn Write,
    sandbox: &Sandbox,
    running: &Running,
    events: &[Value],
    answer: &Answer,
) -> anyhow::Result<bool> {
    let ledger = sandbox.ledger();
    let none = Vec::new();
    let errors = answer.body["errors"].as_array().unwrap_or(&none);
    let messages = answer.body["messages"].as_array().unwrap_or(&none);
    let mut ended_well = 0;
    for (index, came_in) in events.iter().enumerate() {
        let prefix = format!("data[{index}].");
        let notes = messages
            .iter()
            .filter_map(|note| note.as_str()?.strip_prefix(&prefix))
            .collect();
        let refused = errors.iter().find(|error| error["index"] == index);
        let delivered = ledger.events.iter().find(|event| {
            event.body.as_ref().is_some_and(|body| {
                body["event_time"] == came_in["event_time"]
                    && body["action_source"] == came_in["action_source"]
            })
        });
        let batch = delivered.and_then(|event| {
            let number = event.batches.last()?;
            ledger.batches.iter().find(|batch| batch.number == *number)
        });
        let end = match (delivered, batch, refused) {
            (Some(event), Some(batch), None) if index < samples::GOOD => {
                ended_well += 1;
                table::End::Delivered(event, batch)
            }
            (None, None, Some(error)) => {
                ended_well += usize::from(index >= samples::GOOD);
                table::End::Refused(error)
            }
            _ => table::End::Missing,
        };
        let title = samples::TITLES.get(index).copied().unwrap_or_default();
        table::print(
            out,
            index + 1,
            &table::Row {
                title,
                came_in,
                end,
                notes,
            },
        )?;
    }
    let violations = sandbox.violations().len();
    let left = running.journal().depth().records;
    writeln!(
        out,
        "\n{ended_well} of {} events ended as they should; {left} are left in the journal; the simulated Graph saw {violations} violations of its contract.",
        events.len()
    )?;
    Ok(ended_well == events.len() && left == 0 && violations == 0)
}

/// What a person can do next.
fn outlook(
    out: &mut dyn Write,
    sandbox: &Sandbox,
    running: &Running,
    config: &Path,
) -> anyhow::Result<()> {
    let (ingest, admin) = (running.ingest_addr(), running.admin_addr());
    writeln!(
        out,
        "
The gateway stays up until Ctrl-C. Send an event of your own:

  curl -sS http://{ingest}/v26.0/{PIXEL}/events \\
    -H 'Authorization: Bearer {KEY}' -H 'Content-Type: application/json' \\
    -d '{{\"data\":[{{\"event_name\":\"Purchase\",\"event_time\":'$(date +%s)',\"action_source\":\"website\",\"event_source_url\":\"https://shop.example/\",\"user_data\":{{\"em\":\"You@Example.com\"}},\"custom_data\":{{\"value\":9.5,\"currency\":\"EUR\"}}}}]}}'

  what Graph received      {}/sandbox/ledger
  is it ready, and if not  http://{admin}/readyz
  what it counts           http://{admin}/metrics
  its configuration        {}",
        sandbox.url(),
        config.display(),
    )?;
    Ok(())
}

async fn post(ingest: &str, events: &[Value]) -> anyhow::Result<Answer> {
    let response = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .build()?
        .post(format!("{ingest}/v26.0/{PIXEL}/events"))
        .bearer_auth(KEY)
        .json(&serde_json::json!({ "data": events }))
        .send()
        .await
        .context("the gateway does not answer")?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: response.json().await?,
    })
}

fn sandbox_settings() -> SandboxSettings {
    let pixel: Option<PixelId> = PIXEL.parse().ok();
    let token = SandboxToken {
        pixels: pixel.into_iter().collect(),
        ..SandboxToken::new("demo", TOKEN)
    };
    SandboxSettings {
        listen: std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0)),
        tokens: vec![token],
        ..SandboxSettings::default()
    }
}

fn write_config(dir: &Path, graph: &str) -> anyhow::Result<PathBuf> {
    let path = dir.join("capigate.toml");
    let text = format!(
        "[listen]
ingest = \"127.0.0.1:0\"
admin = \"127.0.0.1:0\"

[journal]
dir = \"{}\"
segment_bytes = \"1MiB\"

[lanes]
backoff_max = \"2s\"

[graph]
url = \"{graph}\"

[shutdown]
grace = \"0s\"

[pixels.{PIXEL}]
token = {{ env = \"CAPIGATE_DEMO_TOKEN\" }}

[sources.demo]
keys = [{{ env = \"CAPIGATE_DEMO_KEY\" }}]
pixels = [\"{PIXEL}\"]
",
        dir.join("journal").display()
    );
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo's configuration is no file of the journal"
    )]
    std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
