//! `capigate token exchange`: the code of a login that was done elsewhere, for a token.

use std::io::Write;

use clap::Args;

use super::ask;
use super::desk::{Common, Desk};
use super::obtained::{Keep, keep};
use super::say::Report;
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::config::AppId;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::{Context, OauthError, check_redirect_uri};
use crate::pixel::PixelId;
use crate::tokens::paste::Kind;
use crate::tokens::{Name, Obtained, Slot};

#[derive(Args, Debug)]
pub(super) struct ExchangeArgs {
    #[command(flatten)]
    common: Common,
    /// The redirect URI that the dialog was opened with, byte for byte, such as
    /// http://localhost:8080/
    #[arg(long, value_name = "URI")]
    redirect_uri: String,
    /// The app that the dialog was opened for; needed when several are in the vault
    #[arg(long, value_name = "ID")]
    app_id: Option<AppId>,
    /// The pixel that is to send with the token; without one it is only kept
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
    /// What to call the token
    #[arg(long)]
    name: Option<Name>,
    /// Keep it whatever speaks against it
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: ExchangeArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = exchange(args, &mut report).await;
    report.close(done)
}

async fn exchange(args: ExchangeArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    check_redirect_uri(&args.redirect_uri)
        .map_err(|error| failure(USAGE, format!("--redirect-uri: {error} ({})", error.code())))?;
    let desk = Desk::open(&args.common)?;
    let app_id = args.app_id.map(|id| id.get().to_string());
    let app = desk.named_app(&desk.contents()?, app_id.as_deref())?;
    let mut options = Keep {
        name: args.name,
        bind: args.pixel.map(|pixel| (pixel, Slot::Current)),
        force: args.force,
        app: Some(app.clone()),
        ..Keep::default()
    };
    options.check(&desk)?;
    let what = "Code, or the whole address that the browser ended on";
    let code = ask::secret(report, what, Kind::Code)?;
    let uri = &args.redirect_uri;
    match desk.client.exchange_code(&app, uri, &code).await {
        Ok(granted) => {
            report.done("code", "exchanged the code for a token")?;
            options.expires_in = granted.expires_in;
            keep(&desk, report, granted.token, Obtained::Login, &options).await?;
            Ok(())
        }
        Err(error) => refused(report, &error, uri),
    }
}

/// Tells why a code was not exchanged; where the redirect URI may be the reason, which one was
/// used.
pub(in crate::cli) fn refused(
    report: &mut Report<'_>,
    error: &OauthError,
    redirect_uri: &str,
) -> anyhow::Result<()> {
    report.refused("code", Context::Code, error)?;
    let is_about_it = error.explain(Context::Code).slug.starts_with("redirect-");
    if !is_about_it {
        return Ok(());
    }
    report.set("redirect_uri", redirect_uri)?;
    let says = format!("the redirect URI of this exchange was {redirect_uri}");
    let next = "compare it with the one in the address of the dialog, decoded once: scheme, port, path and the slash at the end";
    report.tell(Finding::new("redirect_uri", Mark::Skipped, says).next(next))
}
