//! `capigate token system-user`: tokens of a business, which hang on no person.

mod create;
mod refresh;
mod scopes;

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;

use super::desk::{Common, Desk};
use super::say::Report;
use super::which::From;
use crate::cli::WRONG;
use crate::cli::client::failure;
use crate::config::AppId;
use crate::graph::oauth::Context;

/// Make and refresh tokens of system users: they belong to the business, and need no login.
#[derive(Args, Debug)]
pub(super) struct SystemUserArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Show the system users of a business.
    List(ListArgs),
    /// Install your app for a system user, which making a token needs first.
    Install(InstallArgs),
    /// Make a token for a system user.
    Create(create::CreateArgs),
    /// Get a new 60-day token for one that is still good.
    Refresh(refresh::RefreshArgs),
}

#[derive(Args, Debug)]
struct ListArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    from: From,
    /// The business, from Business settings, Business info
    #[arg(long, value_name = "ID")]
    business: String,
}

#[derive(Args, Debug)]
struct InstallArgs {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    from: From,
    /// The system user
    #[arg(long, value_name = "ID")]
    system_user: String,
    /// The app; needed when several are in the vault
    #[arg(long, value_name = "ID")]
    app_id: Option<AppId>,
}

pub(super) async fn run(args: SystemUserArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let json = match &args.verb {
        Verb::List(args) => args.common.json,
        Verb::Install(args) => args.common.json,
        Verb::Create(args) => args.common.json,
        Verb::Refresh(args) => args.common.json,
    };
    let mut report = Report::new(out, json);
    let done = match args.verb {
        Verb::List(args) => list(&args, &mut report).await,
        Verb::Install(args) => install(&args, &mut report).await,
        Verb::Create(args) => create::run(args, &mut report).await,
        Verb::Refresh(args) => refresh::run(&args, &mut report).await,
    };
    report.close(done)
}

async fn list(args: &ListArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let asker = args.from.asker(&desk, report, "An admin's access token");
    let Some(asker) = asker.await? else {
        return Ok(());
    };
    let secret = asker.app.as_ref().map(|app| &app.secret);
    let users = desk
        .client
        .system_users(&asker.secret, secret, &args.business);
    let users = match users.await {
        Ok(users) => users,
        Err(error) => return report.refused("system_users", Context::SystemUser, &error),
    };
    let mut rows = Vec::new();
    let mut shown = Vec::new();
    for user in &users {
        let name = user.name.as_ref().map(ToString::to_string);
        let cell = |text: &Option<String>| text.clone().unwrap_or_default();
        rows.push(vec![user.id.clone(), cell(&name), cell(&user.role)]);
        shown.push(json!({"system_user_id": user.id, "name": name, "role": user.role}));
    }
    report.set("system_users", shown)?;
    if rows.is_empty() {
        return Err(failure(
            WRONG,
            "this business has no system user: add one under Business settings, Users, System users",
        ));
    }
    report.table(&["system user", "name", "role"], &rows)
}

async fn install(args: &InstallArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let app_id = args.app_id.map(|id| id.get().to_string());
    let app = desk.named_app(&desk.contents()?, app_id.as_deref())?;
    let asker = args.from.asker(&desk, report, "An admin's access token");
    let Some(asker) = asker.await? else {
        return Ok(());
    };
    let secret = asker.app.as_ref().map(|app| &app.secret);
    let user = &args.system_user;
    let installed = desk
        .client
        .install_app(&asker.secret, secret, user, &app.id);
    match installed.await {
        Ok(()) => {
            report.done(
                "installed",
                format!("app {} is installed for system user {user}", app.id),
            )?;
            report.say("Assign the dataset to it (Business settings, System users, Add assets), then make a token:\n`capigate token system-user create`. A token can use what is assigned when it is made.")
        }
        Err(error) => report.refused("installed", Context::SystemUser, &error),
    }
}
