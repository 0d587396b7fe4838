//! `capigate token system-user create`: makes a token for a system user.

use clap::Args;

use super::scopes::{is_known, is_scope};
use crate::cli::USAGE;
use crate::cli::client::failure;
use crate::cli::token::desk::{Common, Desk};
use crate::cli::token::obtained::{Extend, Keep, keep};
use crate::cli::token::say::Report;
use crate::cli::token::which::From;
use crate::config::AppId;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::Context;
use crate::pixel::PixelId;
use crate::tokens::{Kind, Name, Obtained, Slot};

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    from: From,
    /// The system user
    #[arg(long, value_name = "ID")]
    system_user: String,
    /// A permission of the token; may be repeated. Sending needs ads_management
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// A token that ends after 60 days, which some businesses must take; the gateway refreshes it
    #[arg(long)]
    sixty_days: bool,
    /// The app that issues it; needed when several are in the vault
    #[arg(long, value_name = "ID")]
    app_id: Option<AppId>,
    /// The pixel that is to send with it; without one it is only kept
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
    /// What to call it
    #[arg(long)]
    name: Option<Name>,
    /// Keep it whatever speaks against it
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: CreateArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    if !args.scopes.iter().all(|scope| is_scope(scope)) {
        return Err(failure(
            USAGE,
            "--scope: one permission, lower-case letters, digits and _, such as ads_management; repeat it for more",
        ));
    }
    let desk = Desk::open(&args.common)?;
    let app_id = args.app_id.map(|id| id.get().to_string());
    let app = desk.named_app(&desk.contents()?, app_id.as_deref())?;
    let options = Keep {
        name: args.name,
        bind: args.pixel.map(|pixel| (pixel, Slot::Current)),
        kind: Some(Kind::SystemUser),
        require: args.scopes.clone(),
        app: Some(app.clone()),
        extend: Extend::Never,
        force: args.force,
        ..Keep::default()
    };
    options.check(&desk)?;
    let unknown: Vec<&str> = (args.scopes.iter().map(String::as_str))
        .filter(|scope| !is_known(scope))
        .collect();
    if !unknown.is_empty() {
        let says = format!(
            "Meta does not list these for system users, and may refuse them: {}",
            unknown.join(", ")
        );
        report.tell(Finding::new("scopes_unknown", Mark::Warn, says))?;
    }
    let asker = args.from.asker(&desk, report, "An admin's access token");
    let Some(asker) = asker.await? else {
        return Ok(());
    };
    let (user, sixty) = (&args.system_user, args.sixty_days);
    // the proof is about the token that asks
    let proof = asker.app.as_ref().unwrap_or(&app);
    let made = desk
        .client
        .create_system_user_token(
            &asker.secret,
            &proof.secret,
            user,
            &app.id,
            &args.scopes,
            sixty,
        )
        .await;
    match made {
        Ok(token) => {
            report.done("created", format!("made a token for system user {user}"))?;
            keep(&desk, report, token, Obtained::SystemUser, &options).await?;
            Ok(())
        }
        Err(error) => report.refused("created", Context::SystemUser, &error),
    }
}
