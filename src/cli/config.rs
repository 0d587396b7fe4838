//! `capigate config check|print|reference`: what is set, whether it is right, what there is to set.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::config::{self, Config, ConfigErrors, Layers, Loaded};
use crate::time::Clock;

/// The exit code for a configuration that cannot be used.
pub const EXIT_BAD_CONFIG: u8 = 64;

/// The files a configuration is read from; every command that needs one takes these.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigFiles {
    /// Configuration file; may be repeated, later ones win
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Arguments of `capigate config`.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Clone, Debug)]
enum Verb {
    /// Report everything that is wrong, missing secrets included; exit 64 if anything is
    Check {
        #[command(flatten)]
        config: ConfigFiles,
    },
    /// Show the configuration in force and where each value was set
    Print {
        #[command(flatten)]
        config: ConfigFiles,
        /// Print JSON: { "config": …, "origins": … }
        #[arg(long)]
        json: bool,
    },
    /// Show every key, its default and its meaning
    Reference,
}

/// Runs the command with the environment given; the answer is the exit code.
pub fn run(
    args: &ConfigArgs,
    env: impl Iterator<Item = (String, String)>,
    clock: &Clock,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    match &args.verb {
        Verb::Check { config } => check(config, env.collect(), clock, out),
        Verb::Print { config, json } => {
            match Config::load_with_origins(&config.files, env) {
                Ok(loaded) if *json => print_json(&loaded, out)?,
                Ok(loaded) => {
                    out.write_all(config::print(&loaded.config, &loaded.origins)?.as_bytes())?;
                }
                Err(errors) => return refuse(&errors, out),
            }
            Ok(0)
        }
        Verb::Reference => {
            out.write_all(config::reference().as_bytes())?;
            Ok(0)
        }
    }
}

fn check(
    config: &ConfigFiles,
    env: BTreeMap<String, String>,
    clock: &Clock,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let files = config.files.clone();
    let loaded = match (Layers { files, env }).load() {
        Ok((loaded, _)) => loaded,
        Err(errors) => return refuse(&errors, out),
    };
    for warning in loaded.config.warnings(clock.now()) {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "ok")?;
    Ok(0)
}

fn refuse(errors: &ConfigErrors, out: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(out, "{errors}")?;
    let count = errors.faults.len();
    let s = if count == 1 { "" } else { "s" };
    writeln!(out, "{count} fault{s}")?;
    Ok(EXIT_BAD_CONFIG)
}

fn print_json(loaded: &Loaded, out: &mut dyn Write) -> anyhow::Result<()> {
    let whole = serde_json::json!({ "config": loaded.config, "origins": loaded.origins });
    serde_json::to_writer_pretty(&mut *out, &whole)?;
    writeln!(out)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::time::UnixMs;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ConfigArgs,
    }

    const SANDBOX: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/sandbox.toml");
    const PRODUCTION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/production.toml");
    const DEMO: [(&str, &str); 2] = [
        ("CAPIGATE_DEMO_TOKEN", "canary-token"),
        ("CAPIGATE_DEMO_KEY", "canary-key"),
    ];

    fn capigate(line: &[&str], env: &[(&str, &str)]) -> (u8, String) {
        let words = ["capigate"].iter().chain(line);
        let args = Cli::try_parse_from(words).unwrap().args;
        let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        // 2026-11-22
        let clock = Clock::manual(UnixMs::from_secs(1_795_305_600));
        let mut out = Vec::new();
        let code = run(&args, env, &clock, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains("canary"), "{out}");
        (code, out)
    }

    #[test]
    fn a_good_configuration_is_ok() {
        let (code, out) = capigate(&["check", "--config", SANDBOX], &DEMO);
        assert_eq!((code, out.as_str()), (0, "ok\n"));
    }

    #[test]
    fn a_version_near_its_end_is_a_warning() {
        let mut env = DEMO.to_vec();
        env.push(("CAPIGATE__GRAPH__VERSION", "v21.0"));
        let (code, out) = capigate(&["check", "--config", SANDBOX], &env);
        assert_eq!(code, 0);
        assert!(
            out.starts_with("warning: graph.version v21.0 ends in 61 days")
                && out.ends_with("\nok\n"),
            "{out}"
        );
    }

    #[test]
    fn all_missing_secrets_are_told_at_once() {
        let (code, out) = capigate(&["check", "--config", SANDBOX], &[]);
        assert_eq!(code, 64);
        assert_eq!(out.lines().count(), 3, "{out}");
        assert!(out.contains("sandbox.toml:17: pixels.1234567890123456.token: the environment variable CAPIGATE_DEMO_TOKEN is not set, or is not Unicode\n"), "{out}");
        assert!(
            out.contains(
                "sources.demo.keys[0]: the environment variable CAPIGATE_DEMO_KEY is not set, or is not Unicode\n"
            ),
            "{out}"
        );
        let (code, out) = capigate(&["check", "--config", PRODUCTION], &[]);
        assert_eq!(code, 64);
        assert!(out.ends_with("7 faults\n"), "{out}");
        assert!(
            out.contains("the file /run/secrets/shop_key cannot be read"),
            "{out}"
        );
    }

    #[test]
    fn faults_are_exit_64_in_every_verb_that_loads() {
        for verb in ["check", "print"] {
            let (code, out) = capigate(&[verb], &[("CAPIGATE__LANES__LINGR", "1s")]);
            assert_eq!(code, 64);
            assert_eq!(
                out,
                "CAPIGATE__LANES__LINGR: lanes.lingr: is not a key; did you mean lanes.linger?\n1 fault\n"
            );
        }
    }

    #[test]
    fn print_shows_references_and_origins() {
        let mut env = DEMO.to_vec();
        env.push(("CAPIGATE__LANES__LINGER", "1s"));
        let (code, text) = capigate(&["print", "--config", SANDBOX], &env);
        assert_eq!(code, 0);
        assert!(
            text.contains("linger = \"1s\"  # CAPIGATE__LANES__LINGER"),
            "{text}"
        );
        assert!(
            text.contains("token = { env = \"CAPIGATE_DEMO_TOKEN\" }"),
            "{text}"
        );
        let (code, json) = capigate(&["print", "--json", "--config", SANDBOX], &env);
        assert_eq!(code, 0);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["config"]["lanes"]["linger"], "1s");
        assert_eq!(json["origins"]["lanes.linger"], "CAPIGATE__LANES__LINGER");
        assert_eq!(
            json["config"]["pixels"]["1234567890123456"]["token"]["env"],
            "CAPIGATE_DEMO_TOKEN"
        );
    }

    #[test]
    fn reference_is_the_file() {
        let (code, text) = capigate(&["reference"], &[]);
        assert_eq!((code, text), (0, config::reference()));
    }
}
