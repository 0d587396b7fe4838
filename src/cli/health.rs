//! `capigate health`: whether a running gateway can take events, for health checks of containers.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use url::Url;

use super::config::ConfigFiles;
use super::{OK, USAGE, WRONG, client, table};
use crate::config::Config;

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `capigate health` takes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct HealthArgs {
    #[command(flatten)]
    config: ConfigFiles,

    /// Admin address of the gateway, such as http://127.0.0.1:9090; else that of the configuration
    #[arg(long, value_name = "URL")]
    admin: Option<Url>,

    /// Ask only whether the process lives (/healthz), not whether it can take events (/readyz)
    #[arg(long)]
    live: bool,

    /// Print the gateway's own answer
    #[arg(long)]
    json: bool,
}

/// Runs `capigate health`; returns the exit code.
pub(super) async fn run(args: HealthArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let base = if let Some(url) = args.admin {
        url
    } else {
        // no secret is needed for it
        let loaded = Config::load(&args.config.files, super::environment());
        let faults = |faults| format!("the configuration has faults:\n{faults}");
        let config = loaded.map_err(|error| client::failure(USAGE, faults(error)))?;
        client::reached_at(config.listen.admin, false, "listen.admin", "--admin")?
    };
    let path = if args.live { "/healthz" } else { "/readyz" };
    let url = base.join(path).context("--admin")?;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE);
    if url.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    let http = builder
        .build()
        .context("the HTTP client cannot be set up")?;
    let silent = |_| {
        let text = format!(
            "no gateway answers at {base}: is it running, and is that its admin address (listen.admin, or --admin)?"
        );
        client::failure(WRONG, text)
    };
    let answer = http.get(url.clone()).send().await.map_err(silent)?;
    let is_well = answer.status().is_success();
    let text = answer.text().await.map_err(silent)?;
    if args.json {
        writeln!(out, "{}", text.trim_end())?;
        return Ok(if is_well { OK } else { WRONG });
    }
    let word = if args.live { "alive" } else { "ready" };
    if is_well {
        writeln!(out, "{word}")?;
        return Ok(OK);
    }
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    let reasons = told["reasons"].as_array().map_or(&[][..], Vec::as_slice);
    writeln!(out, "not {word}")?;
    for reason in reasons {
        let (code, advice) = (table::cell(&reason["code"]), table::cell(&reason["advice"]));
        writeln!(out, "  {code}: {advice}")?;
    }
    Ok(WRONG)
}
