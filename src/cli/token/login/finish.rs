//! From the code of a login to a token that is kept.

use std::time::Instant;

use super::End;
use super::attempt::Attempt;
use crate::cli::token::desk::Desk;
use crate::cli::token::obtained::{Extend, Keep, keep, set_aside};
use crate::cli::token::say::Report;
use crate::custody::ladder::{Finding, Mark};
use crate::graph::oauth::{Context, Granted, Permission, PermissionStatus};
use crate::secret::Secret;
use crate::tokens::Obtained;

/// A login that has brought a code.
pub(super) struct Finished<'a> {
    pub(super) desk: &'a Desk,
    pub(super) attempt: &'a Attempt,
    /// When the code came.
    pub(super) came_at: Instant,
    /// The permissions that were asked for by name.
    pub(super) asked: &'a [String],
    pub(super) keep: &'a Keep,
}

impl Finished<'_> {
    pub(super) async fn finish(
        self,
        report: &mut Report<'_>,
        code: &Secret,
    ) -> anyhow::Result<End> {
        let Some(granted) = self.exchange(report, code).await? else {
            return Ok(End::Done);
        };
        let declined = self.who(report, &granted.token).await?;
        if !declined.is_empty() {
            return Ok(End::Declined(declined, granted));
        }
        let keeping = Keep {
            expires_in: granted.expires_in,
            ..self.keep.clone()
        };
        keep(self.desk, report, granted.token, Obtained::Login, &keeping).await?;
        Ok(End::Done)
    }

    /// Exchanges the code, once, whatever comes of it.
    async fn exchange(
        &self,
        report: &mut Report<'_>,
        code: &Secret,
    ) -> anyhow::Result<Option<Granted>> {
        let (app, uri) = (self.attempt.app(), self.attempt.redirect_uri());
        let granted = self.desk.client.exchange_code(app, uri, code).await;
        let took = self.came_at.elapsed();
        report.set("exchange_ms", took.as_millis())?;
        match granted {
            Ok(granted) => {
                let says = format!(
                    "its code was exchanged for a token {:.1} s after it came",
                    took.as_secs_f64()
                );
                report.done("exchange", says)?;
                Ok(Some(granted))
            }
            Err(error) => {
                if error.explain(Context::Code).slug.starts_with("redirect-") {
                    let says = format!("the dialog was told {uri}, the exchange {uri}");
                    report.tell(Finding::new("redirect_uri", Mark::Skipped, says))?;
                }
                report.refused("exchange", Context::Code, &error)?;
                Ok(None)
            }
        }
    }

    /// Tells who has logged in, and gives the permissions that were asked for and refused.
    async fn who(&self, report: &mut Report<'_>, token: &Secret) -> anyhow::Result<Vec<String>> {
        let client = &self.desk.client;
        let secret = Some(&self.attempt.app().secret);
        match client.me(token, secret).await {
            Ok(me) => {
                let name = me.name.as_ref().map_or("no name", |name| name.as_str());
                report.set("user_id", &me.id)?;
                report.done("identity", format!("logged in as {name} ({})", me.id))?;
            }
            Err(error) => {
                report.tell(Finding::of("identity", Mark::Warn, Context::Any, &error))?;
            }
        }
        let Ok(permissions) = client.permissions(token, secret).await else {
            let says = "Meta does not tell here which permissions were allowed";
            report.tell(Finding::new("permissions", Mark::Skipped, says))?;
            return Ok(Vec::new());
        };
        report.set("granted", granted(&permissions))?;
        Ok(refusals(&permissions, self.asked))
    }
}

/// Keeps a token that lacks a permission, for no pixel: its code is spent. Before the next try it
/// leaves the name to the one that comes of that, and is as short-lived as it is.
pub(super) async fn keep_declined(
    desk: &Desk,
    report: &mut Report<'_>,
    granted: Granted,
    options: &Keep,
    again: bool,
) -> anyhow::Result<()> {
    let mut keeping = Keep {
        expires_in: granted.expires_in,
        ..options.unbound()
    };
    if again {
        keeping.name = None;
        keeping.extend = Extend::Never;
    }
    let kept = keep(desk, report, granted.token, Obtained::Login, &keeping).await?;
    match kept {
        Some(name) if !again => set_aside(report, &name, options),
        _ => Ok(()),
    }
}

fn granted(permissions: &[Permission]) -> Vec<&str> {
    let yes = |one: &&Permission| one.status == PermissionStatus::Granted;
    let names = permissions.iter().filter(yes);
    names.map(|one| one.name.as_str()).collect()
}

/// What was asked for and is said not to be allowed. What is not in the list is not said to be
/// refused.
fn refusals(permissions: &[Permission], asked: &[String]) -> Vec<String> {
    let no =
        |one: &&Permission| one.status != PermissionStatus::Granted && asked.contains(&one.name);
    let refused = permissions.iter().filter(no);
    refused.map(|one| one.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_refused_when_it_was_asked_for_and_is_not_granted() {
        let permission = |name: &str, status| Permission {
            name: name.to_owned(),
            status,
        };
        let all = [
            permission("ads_management", PermissionStatus::Declined),
            permission("ads_read", PermissionStatus::Granted),
            permission("pages_show_list", PermissionStatus::Expired),
            permission("email", PermissionStatus::Declined),
        ];
        let asked = ["ads_management", "pages_show_list", "unlisted"].map(str::to_owned);
        assert_eq!(
            refusals(&all, &asked),
            ["ads_management", "pages_show_list"]
        );
        assert_eq!(granted(&all), ["ads_read"]);
        assert_eq!(refusals(&all, &[]), Vec::<String>::new());
    }
}
