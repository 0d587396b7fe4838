//! Which token a command is about, and with which one it asks Meta.

use clap::Args;

use super::ask;
use super::desk::Desk;
use super::look::{Looked, known, look};
use super::say::Report;
use crate::custody::ladder::{Finding, Mark, about};
use crate::custody::{Kept, Source};
use crate::graph::oauth::{App, Context, OauthError};
use crate::pixel::PixelId;
use crate::secret::Secret;
use crate::tokens::paste::Kind;
use crate::tokens::{Contents, Facts, Name};

/// One token.
#[derive(Args, Debug)]
pub(super) struct Which {
    /// Its name, as `capigate token list` shows it
    pub(super) name: Option<Name>,
    /// Or the pixel that sends with it
    #[arg(long, value_name = "ID")]
    pub(super) pixel: Option<PixelId>,
}

/// With which token Meta is asked.
#[derive(Args, Debug)]
pub(super) struct From {
    /// The name of the token to ask with; without it, one is pasted at the prompt or on standard
    /// input
    #[arg(long, value_name = "NAME")]
    from: Option<Name>,
}

/// A token to ask with.
pub(super) struct Asker {
    pub(super) secret: Secret,
    pub(super) app: Option<App>,
    pub(super) facts: Facts,
}

impl Which {
    pub(super) fn find(&self, desk: &Desk, contents: &Contents) -> anyhow::Result<Kept> {
        desk.find(contents, self.name.as_ref(), self.pixel)
    }
}

impl From {
    /// Finds the token, or asks for it, and asks Meta about it; none when it is of no use, which
    /// the report then has as a failure.
    pub(super) async fn asker(
        &self,
        desk: &Desk,
        report: &mut Report<'_>,
        what: &str,
    ) -> anyhow::Result<Option<Asker>> {
        let contents = desk.contents()?;
        let (secret, app, before) = match &self.from {
            Some(name) => {
                let kept = desk.find(&contents, Some(name), None)?;
                let facts = known(&kept, &desk.notes()).facts;
                (kept.secret, kept.app, facts)
            }
            None => (
                ask::secret(report, what, Kind::LaneToken)?,
                None,
                Facts::default(),
            ),
        };
        let looked = look(desk, &contents, &secret, app, None, &before).await;
        let Looked { seen, app } = match looked {
            Ok(looked) => looked,
            Err(error) => {
                report.refused("asker", Context::Debug, &error)?;
                return Ok(None);
            }
        };
        let now = desk.clock.now();
        let mut bad = about(&seen, None, now).into_iter();
        if let Some(bad) = bad.find(|finding| finding.mark == Mark::Fail) {
            report.tell(bad)?;
            return Ok(None);
        }
        Ok(Some(Asker {
            secret,
            app,
            facts: seen.facts,
        }))
    }
}

/// Asks Meta about a token that is kept, and writes down what it says; none when it gives no
/// answer, which the report then has as a failure.
pub(super) async fn look_at(
    desk: &Desk,
    report: &mut Report<'_>,
    kept: &Kept,
) -> anyhow::Result<Option<Looked>> {
    match ask_about(desk, kept).await? {
        Ok(looked) => Ok(Some(looked)),
        Err(error) => {
            report.refused("token", Context::Debug, &error)?;
            Ok(None)
        }
    }
}

/// What Meta says of a token that is kept; when it gives no answer, which is a warning, what was
/// known before.
pub(super) async fn facts_of(
    desk: &Desk,
    report: &mut Report<'_>,
    kept: &Kept,
) -> anyhow::Result<Facts> {
    let before = known(kept, &desk.notes()).facts;
    match ask_about(desk, kept).await? {
        Ok(looked) => Ok(looked.seen.facts),
        Err(error) => {
            let mut finding = Finding::of("token", Mark::Warn, Context::Debug, &error);
            finding.says = format!("{} could not be looked at: {}", kept.label, finding.says);
            report.tell(finding)?;
            Ok(before)
        }
    }
}

/// Asks Meta about a token that is kept, and writes down what it says.
async fn ask_about(desk: &Desk, kept: &Kept) -> anyhow::Result<Result<Looked, OauthError>> {
    let contents = desk.contents()?;
    let before = known(kept, &desk.notes()).facts;
    let pixel = kept.pixels.first().map(|(pixel, _)| *pixel);
    let app = kept.app.clone();
    let looked = look(desk, &contents, &kept.secret, app, pixel, &before).await;
    if let (Ok(looked), Source::Vault(name)) = (&looked, &kept.source)
        && looked.seen.verdict
    {
        desk.note(name, &looked.seen.facts)?;
    }
    Ok(looked)
}
