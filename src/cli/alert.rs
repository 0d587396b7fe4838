//! `capigate alert test`: whether alerts arrive.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::config::ConfigFiles;
use super::{OK, USAGE, print_json, table};
use crate::alerts::{Alerts, ChannelReport};
use crate::app::wiring;
use crate::config::{Layers, Loaded, Secrets};
use crate::telemetry::metrics::Metrics;
use crate::time::Clock;

/// A channel did not take the alert.
const NOT_SENT: u8 = 6;

/// Arguments of `capigate alert`.
#[derive(Args, Clone, Debug)]
pub(super) struct AlertArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Clone, Debug)]
enum Verb {
    /// Send a test alert through each configured channel now; no gateway is needed
    ///
    /// Exit codes: 0 all took it, 6 one did not, 64 none is configured or the configuration has
    /// a fault.
    Test {
        #[command(flatten)]
        config: ConfigFiles,
        /// Print JSON: { "channels": [{ "channel", "sent", "code", "error" }] }
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command with the environment given; what is wrong with the configuration goes to
/// `err`. The answer is the exit code.
pub(super) async fn run(
    args: AlertArgs,
    env: impl Iterator<Item = (String, String)>,
    clock: Clock,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<u8> {
    let Verb::Test { config, json } = args.verb;
    let layers = Layers {
        files: config.files,
        env: env.collect(),
    };
    let loaded = tokio::task::spawn_blocking(move || layers.load()).await?;
    let (Loaded { config, .. }, secrets): (_, Secrets) = match loaded {
        Ok(loaded) => loaded,
        Err(faults) => {
            writeln!(err, "{faults}")?;
            return Ok(USAGE);
        }
    };
    let settings = wiring::alerts(&config.alerts, &secrets.alerts);
    let alerts = Alerts::new(settings, None, clock, Metrics::new()?);
    let reports = alerts.test().await;
    if reports.is_empty() {
        writeln!(
            err,
            "no channel is configured: set alerts.webhook_url, or alerts.email_to with alerts.email_from and alerts.email_host"
        )?;
        return Ok(USAGE);
    }
    let code = if reports.iter().all(|report| report.outcome.is_ok()) {
        OK
    } else {
        NOT_SENT
    };
    if json {
        let channels: Vec<Value> = reports.iter().map(report).collect();
        print_json(out, &json!({ "channels": channels }))?;
        return Ok(code);
    }
    for ChannelReport { channel, outcome } in &reports {
        match outcome {
            Ok(()) => writeln!(out, "✓ {channel}: sent; see whether it has arrived")?,
            Err(error) => writeln!(out, "✗ {channel}: {}", table::plain(&error.to_string()))?,
        }
    }
    Ok(code)
}

fn report(report: &ChannelReport) -> Value {
    let error = report.outcome.as_ref().err();
    json!({
        "channel": report.channel.code(),
        "sent": error.is_none(),
        "code": error.map(crate::alerts::ChannelError::code),
        "error": error.map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::time::UnixMs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: AlertArgs,
    }

    /// Exit code, standard output, standard error.
    async fn capigate(line: &[&str], env: &[(&str, &str)]) -> (u8, String, String) {
        let words = ["capigate", "test"].iter().chain(line);
        let args = Cli::try_parse_from(words).unwrap().args;
        let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        let clock = Clock::manual(UnixMs::from_secs(1_795_305_600));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(args, env, clock, &mut out, &mut err).await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (code, text(out), text(err))
    }

    /// A webhook that gives the answer to one request.
    async fn hook(answer: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/canary", listener.local_addr().unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        tasks.detach_all();
        url
    }

    #[tokio::test]
    async fn each_channel_has_its_line_and_the_code_says_whether_all_is_well() {
        let url = hook("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        let env = [("CAPIGATE__ALERTS__WEBHOOK_URL", url.as_str())];
        let (code, out, _) = capigate(&[], &env).await;
        assert_eq!(
            (code, out.as_str()),
            (0, "✓ webhook: sent; see whether it has arrived\n")
        );

        let url = hook("HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\nno_service").await;
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = gone.local_addr().unwrap().port().to_string();
        drop(gone);
        let env = [
            ("HOOK", url.as_str()),
            ("CAPIGATE__ALERTS__WEBHOOK_URL", "{ env = \"HOOK\" }"),
            ("CAPIGATE__ALERTS__EMAIL_TO", "[\"ops@example.com\"]"),
            ("CAPIGATE__ALERTS__EMAIL_FROM", "gate@example.com"),
            ("CAPIGATE__ALERTS__EMAIL_HOST", "127.0.0.1"),
            ("CAPIGATE__ALERTS__EMAIL_PORT", &port),
            ("CAPIGATE__ALERTS__EMAIL_TLS", "none"),
        ];
        let (code, out, _) = capigate(&[], &env).await;
        assert_eq!(code, 6);
        assert!(
            out.contains("✗ webhook: the webhook answered 404: no_service; check"),
            "{out}"
        );
        assert!(
            out.contains("✗ email: no connection to the mail server"),
            "{out}"
        );
        assert!(!out.contains("canary"), "{out}");
    }

    #[tokio::test]
    async fn json_says_the_same() {
        let url = hook("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n").await;
        let env = [("CAPIGATE__ALERTS__WEBHOOK_URL", url.as_str())];
        let (code, out, _) = capigate(&["--json"], &env).await;
        assert_eq!(code, 6);
        let out: Value = serde_json::from_str(&out).unwrap();
        let channel = &out["channels"][0];
        assert_eq!(
            (&channel["channel"], &channel["sent"]),
            (&json!("webhook"), &json!(false))
        );
        assert_eq!(channel["code"], "status");
        assert!(channel["error"].as_str().unwrap().contains("500"));
    }

    #[tokio::test]
    async fn no_channel_and_a_fault_are_64() {
        let (code, out, err) = capigate(&[], &[]).await;
        assert_eq!((code, out.as_str()), (64, ""));
        assert!(err.contains("set alerts.webhook_url"), "{err}");
        let env = [("CAPIGATE__ALERTS__WEBHOOK_URL", "http://10.0.0.1/canary")];
        let (code, out, err) = capigate(&[], &env).await;
        assert_eq!((code, out.as_str()), (64, ""));
        assert!(
            err.contains("alerts.webhook_url: expected an https address"),
            "{err}"
        );
        assert!(!err.contains("canary"), "{err}");
    }
}
