//! What `[alerts]` points to, read.

use rustls::pki_types::CertificateDer;

use super::{Alerts, HTTPS_ONLY, WebhookUrl};
use crate::config::{Fault, SecretRef};
use crate::secret::Secret;

/// What `[alerts]` points to; none where nothing is set.
#[derive(Clone, Debug, Default)]
pub struct AlertSecrets {
    /// Where to POST; also where the configuration has the address in clear.
    pub webhook_url: Option<Secret>,
    /// What the body is signed with.
    pub webhook_secret: Option<Secret>,
    /// The password for the mail server.
    pub email_password: Option<Secret>,
    /// Authorities that are trusted beside those of the system, which are no secret.
    pub roots: Vec<CertificateDer<'static>>,
}

impl Alerts {
    /// Reads what `[alerts]` points to, from the environment given and the files.
    pub(in crate::config) fn secrets(
        &self,
        env: &dyn Fn(&str) -> Option<String>,
        faults: &mut Vec<Fault>,
    ) -> AlertSecrets {
        let mut fault = |part: &str, expected: String| {
            faults.push(Fault {
                key: format!("alerts.{part}"),
                origin: String::new(),
                got: None,
                expected,
            });
        };
        let mut read = |part: &str, place: &SecretRef| {
            let secret = place.read_with(env);
            secret.map_err(|error| fault(part, error.to_string())).ok()
        };
        let mut secret = |part: &str, place: &Option<SecretRef>| {
            place.as_ref().and_then(|place| read(part, place))
        };
        let webhook_secret = secret("webhook_secret", &self.webhook_secret);
        let email_password = secret("email_password", &self.email_password);
        let webhook_url = match &self.webhook_url {
            None => None,
            Some(WebhookUrl::Plain(url)) => Some(Secret::new(url.clone())),
            Some(WebhookUrl::Secret(place)) => {
                let url = read("webhook_url", place);
                let is_good = url
                    .as_ref()
                    .is_none_or(|url| self.may_post_to(url.expose()));
                if !is_good {
                    fault(
                        "webhook_url",
                        format!("{place} holds no https address; {HTTPS_ONLY}"),
                    );
                }
                url.filter(|_| is_good)
            }
        };
        let roots = self.roots().unwrap_or_else(|fault| {
            faults.push(fault);
            Vec::new()
        });
        AlertSecrets {
            webhook_url,
            webhook_secret,
            email_password,
            roots,
        }
    }

    /// Where the secrets are.
    pub(in crate::config) fn places(&self) -> impl Iterator<Item = &SecretRef> {
        let url = self.webhook_url.as_ref().and_then(|url| match url {
            WebhookUrl::Secret(place) => Some(place),
            WebhookUrl::Plain(_) => None,
        });
        [
            url,
            self.webhook_secret.as_ref(),
            self.email_password.as_ref(),
        ]
        .into_iter()
        .flatten()
    }
}
