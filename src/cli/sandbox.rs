//! `capigate sandbox`: runs a sandbox until it is interrupted.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Deserialize;

use crate::pixel::PixelId;
use crate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken, World, parse_duration};
use crate::time::Clock;

/// The token the sandbox knows when none is given.
const DEFAULT_TOKEN: &str = "sandbox-token";

/// What tokens may do that are given on the command line: send events, and read what is made of them.
const SCOPES: [&str; 2] = ["ads_management", "ads_read"];

/// Run a simulator of Meta's events edge and account endpoints. It is not Meta and forwards nothing.
#[derive(Debug, clap::Args)]
pub struct SandboxArgs {
    /// Where to listen. There is no access control, so stay on loopback.
    #[arg(long, default_value = "127.0.0.1:8089", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// A made-up token to accept: plain, or NAME=env:VARIABLE, or NAME=file:PATH; may be repeated.
    /// Without any, "sandbox-token" is accepted.
    #[arg(long = "token", value_name = "TOKEN")]
    tokens: Vec<TokenArg>,

    /// A pixel the tokens may post to; may be repeated. Without any, every pixel.
    #[arg(long = "pixel", value_name = "PIXEL")]
    pixels: Vec<PixelId>,

    /// How long every answer takes at least, such as 20ms.
    #[arg(long, default_value = "0ms", value_name = "DURATION", value_parser = latency)]
    latency: Duration,

    /// A script of faults: TOML with `[[faults]]`, or JSON if the name ends in .json.
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// Apps, people, pages, businesses, system users, pixels and tokens: TOML, or JSON if the name
    /// ends in .json. With tokens in it, "sandbox-token" is not accepted.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,

    /// Accept an external_id that is not hashed.
    #[arg(long)]
    raw_external_id: bool,

    /// Count events without checking them: for load tests only.
    #[arg(long)]
    light: bool,
}

/// Where a token comes from. `Debug` does not show a plain one.
#[derive(Clone)]
struct TokenArg {
    name: Option<String>,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Plain(String),
    Env(String),
    File(PathBuf),
}

/// The file of `--faults`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsFile {
    faults: Vec<Fault>,
}

impl std::fmt::Debug for TokenArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenArg")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl std::str::FromStr for TokenArg {
    // clap repeats the text beside the error, so nothing that may be a secret can be wrong
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = text.split_once('=').and_then(|(name, source)| {
            let source = match source.split_once(':')? {
                ("env", variable) => Source::Env(variable.to_owned()),
                ("file", path) => Source::File(path.into()),
                _ => return None,
            };
            Some((name.to_owned(), source))
        });
        Ok(match named {
            Some((name, source)) => Self {
                name: Some(name),
                source,
            },
            None => Self {
                name: None,
                source: Source::Plain(text.to_owned()),
            },
        })
    }
}

fn token(name: impl Into<String>, value: impl Into<String>) -> SandboxToken {
    SandboxToken {
        scopes: SCOPES.map(str::to_owned).to_vec(),
        ..SandboxToken::new(name, value)
    }
}

impl TokenArg {
    /// The token, called by its name or, without one, by its place on the command line.
    fn read(self, place: usize) -> anyhow::Result<SandboxToken> {
        let name = self.name.unwrap_or_else(|| format!("token-{place}"));
        let value = match self.source {
            Source::Plain(value) => value,
            Source::Env(variable) => std::env::var(&variable)
                .ok()
                .with_context(|| format!("the variable {variable} is not set"))?,
            Source::File(path) => read(&path)?,
        };
        let value = value.trim();
        if value.is_empty() {
            bail!("the token {name} is empty");
        }
        Ok(token(name, value))
    }
}

impl SandboxArgs {
    fn settings(self) -> anyhow::Result<SandboxSettings> {
        let mut tokens = Vec::new();
        for (index, arg) in self.tokens.into_iter().enumerate() {
            tokens.push(arg.read(index + 1)?);
        }
        let world = match &self.world {
            Some(path) => read_world(path)?,
            None => World::default(),
        };
        if tokens.is_empty() && world.tokens.is_empty() {
            tokens.push(token("default", DEFAULT_TOKEN));
        }
        for token in &mut tokens {
            token.pixels.clone_from(&self.pixels);
        }
        let faults = match self.faults {
            Some(path) => read_faults(&path)?,
            None => Vec::new(),
        };
        Ok(SandboxSettings {
            listen: self.listen,
            tokens,
            latency: self.latency,
            faults,
            raw_external_id: self.raw_external_id,
            light: self.light,
            world,
        })
    }
}

fn latency(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "a duration such as 20ms, 1.5s or 1m".to_owned())
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn read_faults(path: &Path) -> anyhow::Result<Vec<Fault>> {
    let text = read(path)?;
    let file: FaultsFile = if is_json(path) {
        serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?
    } else {
        toml::from_str(&text).with_context(|| format!("in {}", path.display()))?
    };
    Ok(file.faults)
}

fn read_world(path: &Path) -> anyhow::Result<World> {
    let text = read(path)?;
    let world = if is_json(path) {
        World::from_json(&text)
    } else {
        World::from_toml(&text)
    };
    world.with_context(|| format!("in {}", path.display()))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}

/// Runs the sandbox until ctrl-c; the exit code is 0 then.
///
/// # Errors
///
/// A token or the script cannot be read, or the address cannot be bound.
pub async fn run(args: SandboxArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let interrupted = async {
        // where signals cannot be had, stopping is up to the one who started us
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    run_until(args, out, interrupted).await
}

async fn run_until(
    args: SandboxArgs,
    out: &mut dyn Write,
    interrupted: impl Future<Output = ()>,
) -> anyhow::Result<u8> {
    let settings = args.settings()?;
    let is_default = settings
        .tokens
        .iter()
        .any(|token| token.value == DEFAULT_TOKEN);
    let sandbox = Sandbox::start(settings, Clock::Real)
        .await
        .context("cannot start the sandbox")?;
    write!(out, "{}", Sandbox::banner())?;
    writeln!(out, "\nlistening on {}", sandbox.url())?;
    if is_default {
        writeln!(out, "accepting the token {DEFAULT_TOKEN}")?;
    }
    if !sandbox.addr().ip().is_loopback() {
        writeln!(
            out,
            "warning: anyone who reaches this address can read and script it"
        )?;
    }
    out.flush()?;
    interrupted.await;
    let totals = sandbox.totals();
    let violations = sandbox.violations().len();
    sandbox.stop().await;
    writeln!(
        out,
        "accepted {} events in {} batches, refused {} batches, saw {violations} violations",
        totals.events_accepted, totals.batches_accepted, totals.batches_refused
    )?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: SandboxArgs,
    }

    fn parse(words: &[&str]) -> SandboxArgs {
        let words = [&["capigate"], words].concat();
        Command::try_parse_from(words).unwrap().args
    }

    fn file(ending: &str, text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn tokens_come_plain_or_from_elsewhere() {
        let token = file("", "from-file\n");
        let sourced = format!("shop=file:{}", token.path().display());
        let words = [
            "--token",
            "plain-canary",
            "--token",
            &sourced,
            "--pixel",
            "7",
        ];
        let args = parse(&words);
        assert!(!format!("{args:?}").contains("canary"));
        let settings = args.settings().unwrap();
        let seen: Vec<_> = settings
            .tokens
            .iter()
            .map(|t| (t.name.as_str(), t.value.as_str(), t.pixels.len()))
            .collect();
        let expected = [("token-1", "plain-canary", 1), ("shop", "from-file", 1)];
        assert_eq!(seen, expected);

        let unset = parse(&["--token", "a=env:CAPIGATE_NO_SUCH_VARIABLE"]);
        assert!(unset.settings().is_err());
        let none = parse(&[]).settings().unwrap();
        assert_eq!(none.tokens[0].value, DEFAULT_TOKEN);
    }

    #[test]
    fn faults_come_from_toml_or_json() {
        let toml = file(".toml", "[[faults]]\ndo = \"throttle\"\ncode = 4\n");
        let json = file(".json", r#"{"faults":[{"do":"throttle","code":4}]}"#);
        for script in [toml, json] {
            let path = script.path().to_str().unwrap();
            let settings = parse(&["--faults", path]).settings().unwrap();
            assert_eq!(settings.faults, [Fault::throttle(4)]);
        }
        let wrong = file(".toml", "[[faults]]\ndo = \"explode\"\n");
        let args = parse(&["--faults", wrong.path().to_str().unwrap()]);
        assert!(args.settings().is_err());
    }

    #[tokio::test]
    async fn it_says_it_is_not_meta_and_stops_when_told() {
        let mut out = Vec::new();
        let args = parse(&["--listen", "127.0.0.1:0", "--latency", "1ms"]);
        let code = run_until(args, &mut out, async {}).await.unwrap();
        assert_eq!(code, 0);
        let said = String::from_utf8(out).unwrap();
        assert!(said.starts_with("capigate sandbox: this is not Meta"));
        assert!(said.contains("listening on http://127.0.0.1:"));
        assert!(said.contains("accepted 0 events"));
    }

    #[test]
    fn a_world_comes_from_toml_or_json() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sandbox-world.toml");
        let settings = parse(&["--world", example]).settings().unwrap();
        let world = &settings.world;
        for (what, count) in [
            ("apps", world.apps.len()),
            ("businesses", world.businesses.len()),
            ("people", world.people.len()),
            ("pages", world.pages.len()),
            ("system_users", world.system_users.len()),
            ("pixels", world.pixels.len()),
        ] {
            assert_eq!(count, 1, "{what}");
        }
        // its own tokens take the place of the default one
        assert_eq!((world.tokens.len(), settings.tokens.len()), (2, 0));

        let json = file(".json", r#"{"pixels":[{"id":"7","name":"seven"}]}"#);
        let args = parse(&["--world", json.path().to_str().unwrap()]);
        let settings = args.settings().unwrap();
        assert_eq!(settings.world.pixels[0].name, "seven");
        assert_eq!(settings.tokens[0].value, DEFAULT_TOKEN);

        let wrong = file(".toml", "[[people]]\nid = 'canary'\nname = 'x'\n");
        let args = parse(&["--world", wrong.path().to_str().unwrap()]);
        let said = format!("{:#}", args.settings().unwrap_err());
        assert!(
            said.ends_with("people[0].id is 1 to 20 decimal digits, such as \"1000000000000001\"")
        );
        assert!(!said.contains("canary"), "{said}");
    }

    #[test]
    fn a_wrong_latency_is_refused() {
        let wrong = ["capigate", "--latency", "soon"];
        assert!(Command::try_parse_from(wrong).is_err());
    }
}
