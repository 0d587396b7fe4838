//! `capigate token add`: takes a token that a person pastes.

use std::io::Write;

use clap::{Args, ValueEnum};

use super::ask;
use super::desk::{Common, Desk};
use super::obtained::{Extend, Keep, keep};
use super::say::Report;
use crate::pixel::PixelId;
use crate::tokens::paste::Kind as Paste;
use crate::tokens::{Kind, Name, Obtained, Slot};

#[derive(Args, Debug)]
pub(super) struct AddArgs {
    #[command(flatten)]
    common: Common,
    /// The pixel (dataset) that is to send with it; without one it is only kept
    #[arg(long, value_name = "ID")]
    pixel: Option<PixelId>,
    /// Whether the pixel sends with it, or falls back on it
    #[arg(long, value_enum, default_value = "current", requires = "pixel")]
    slot: Wanted,
    /// What to call it
    #[arg(long)]
    name: Option<Name>,
    /// A permission that it must have; may be repeated
    #[arg(long, value_name = "SCOPE")]
    require_scope: Vec<String>,
    /// What it must be
    #[arg(long, value_enum)]
    kind: Option<Owner>,
    /// Extend a short-lived token of a person's without asking
    #[arg(long)]
    extend: bool,
    /// Do not ask Meta about it
    #[arg(long, conflicts_with_all = ["require_scope", "kind", "extend"])]
    no_verify: bool,
    /// Keep it whatever speaks against it
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Wanted {
    /// The pixel sends with it.
    Current,
    /// The pixel falls back on it, and a rotation takes it.
    Next,
}

/// Whose token it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Owner {
    /// A person's.
    User,
    /// A page's.
    Page,
    /// A system user's; also one from the Events Manager.
    SystemUser,
}

impl Wanted {
    pub(super) fn slot(self) -> Slot {
        match self {
            Self::Current => Slot::Current,
            Self::Next => Slot::Next,
        }
    }
}

pub(super) async fn run(args: AddArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let mut report = Report::new(out, args.common.json);
    let done = add(args, &mut report).await;
    report.close(done)
}

async fn add(args: AddArgs, report: &mut Report<'_>) -> anyhow::Result<()> {
    let desk = Desk::open(&args.common)?;
    let slot = args.slot.slot();
    let kind = args.kind.map(|kind| match kind {
        Owner::User => Kind::User,
        Owner::Page => Kind::Page,
        Owner::SystemUser => Kind::SystemUser,
    });
    let options = Keep {
        name: args.name,
        bind: args.pixel.map(|pixel| (pixel, slot)),
        require: args.require_scope,
        kind,
        extend: if args.extend {
            Extend::Always
        } else {
            Extend::Ask
        },
        unseen: args.no_verify,
        force: args.force,
        ..Keep::default()
    };
    options.check(&desk)?;
    let token = ask::secret(report, "Access token", Paste::LaneToken)?;
    keep(&desk, report, token, Obtained::Pasted, &options).await?;
    Ok(())
}
