//! Parses the command line and exits with a code: 0 done, 1 something is wrong with what was
//! asked about, 6 a test alert was not sent, 64 bad configuration or arguments, 70 the gateway
//! failed.

use std::process::ExitCode;

use capigate::cli::{Cli, complain, run};
use clap::Parser;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _points = fail::FailScenario::setup();
    ExitCode::from(match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => complain(
            &error,
            std::env::args_os().filter_map(|arg| arg.into_string().ok()),
        ),
    })
}
