//! Parses the command line and exits with a code: 0 done, 1 something is wrong with what was
//! asked about, 6 a test alert was not sent, 64 bad configuration or arguments, 70 the gateway
//! failed.

use std::process::ExitCode;

use capigate::cli::{Cli, OK, USAGE, run};
use clap::Parser;

fn main() -> ExitCode {
    #[cfg(feature = "failpoints")]
    let _points = fail::FailScenario::setup();
    ExitCode::from(match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(message) => {
            // nothing is left to tell when the terminal is gone
            let _ = message.print();
            if message.use_stderr() { USAGE } else { OK }
        }
    })
}
