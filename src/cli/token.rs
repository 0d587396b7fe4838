//! `capigate token`: from nothing to a verified, sealed token, and on to its successor.
//!
//! Exit codes: 0 done, 1 what was asked for is not there, 3 the token is invalid or has ended, 4 a
//! permission or an asset is missing, 5 app id or secret are wrong, 6 the network or Meta for a
//! while, 7 cancelled or too late, 64 configuration or arguments.

mod add;
mod app;
pub(super) mod ask;
mod assign;
pub(super) mod desk;
pub(super) mod exchange;
mod export;
mod extend;
mod guide;
mod init;
mod inspect;
mod list;
mod login;
pub(super) mod look;
mod loose;
pub(super) mod obtained;
mod page;
mod remove;
mod revoke;
mod rotate;
pub(super) mod say;
mod setup;
mod system_user;
mod verify;
mod which;

use std::io::Write;

use clap::{Args, Subcommand};

/// Get, check, keep and replace access tokens.
///
/// Tokens and app secrets are asked for, unseen, at the prompt, or read from standard input; never
/// put them into an argument. They are kept in one sealed file, the vault (tokens.vault), which
/// takes effect in a running gateway by itself. The vault file and its key are the backup: copied
/// to another machine, each by its own way, they open there.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make the key of the vault, once.
    Init(init::InitArgs),
    /// Set up a pixel: asks one question at a time.
    Setup(setup::SetupArgs),
    /// Walk through Meta's pages, step by step.
    Guide(guide::GuideArgs),
    /// Log in through the browser and keep the token that comes of it.
    Login(login::LoginArgs),
    /// Keep the secrets of your apps.
    App(app::AppArgs),
    /// Keep a token that you paste, and give it, or one that is kept, to a pixel.
    Add(add::AddArgs),
    /// Give a pixel a token that is in the vault.
    Assign(assign::AssignArgs),
    /// Show every token, masked, with what is known and what is due.
    List(list::ListArgs),
    /// Ask Meta what a token is and may do.
    Inspect(inspect::InspectArgs),
    /// Check that a token works for its pixels.
    Verify(verify::VerifyArgs),
    /// Exchange the code of a login for a token.
    Exchange(exchange::ExchangeArgs),
    /// Exchange a token that is good now for one that lives longer.
    Extend(extend::ExtendArgs),
    /// List the pages of a person.
    Pages(page::PagesArgs),
    /// Get the token of a page.
    Page(page::PageArgs),
    /// Make and refresh tokens of system users.
    SystemUser(system_user::SystemUserArgs),
    /// Replace the token that a pixel sends with, without a gap.
    Rotate(rotate::RotateArgs),
    /// End a token at Meta, for good.
    Revoke(revoke::RevokeArgs),
    /// Take a token out of the vault.
    Remove(remove::RemoveArgs),
    /// Write a token in clear for a program that takes it from its environment.
    ExportEnv(export::ExportArgs),
}

/// Runs `capigate token`; returns the exit code.
pub(super) async fn run(args: TokenArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Init(args) => init::run(&args, out),
        Verb::Setup(args) => setup::run(&args, out).await,
        Verb::Guide(args) => guide::run(&args, out),
        Verb::Login(args) => login::run(&args, out).await,
        Verb::App(args) => app::run(args, out).await,
        Verb::Add(args) => add::run(args, out).await,
        Verb::Assign(args) => assign::run(args, out).await,
        Verb::List(args) => list::run(&args, out),
        Verb::Inspect(args) => inspect::run(args, out).await,
        Verb::Verify(args) => verify::run(args, out).await,
        Verb::Exchange(args) => exchange::run(args, out).await,
        Verb::Extend(args) => extend::run(args, out).await,
        Verb::Pages(args) => page::list(args, out).await,
        Verb::Page(args) => page::run(args, out).await,
        Verb::SystemUser(args) => system_user::run(args, out).await,
        Verb::Rotate(args) => rotate::run(args, out).await,
        Verb::Revoke(args) => revoke::run(args, out).await,
        Verb::Remove(args) => remove::run(&args, out),
        Verb::ExportEnv(args) => export::run(&args, out),
    }
}
