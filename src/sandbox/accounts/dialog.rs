//! The dialog: someone allows an app what it asks for, or does not.

use std::collections::BTreeSet;

use url::form_urlencoded;

use super::call::Call;
use super::codes::Code;
use super::exchange::Outcome;
use super::oauth::is_listed;
use super::registry::Registry;
use super::screens as html;
use super::tokens::make_up;
use super::world::{App, DialogOutcome, Person};

/// What Facebook hangs on the URL it sends people back to.
const FRAGMENT: &str = "#_=_";

impl Registry {
    pub(super) fn dialog(&mut self, call: &Call, now: i64) -> Outcome {
        let outcome = self.outcome(call);
        let app = call.get("client_id").and_then(|id| self.world.app(id));
        let Some(app) = app.filter(|_| outcome != DialogOutcome::BadApp).cloned() else {
            return page("bad_app", html::bad_app());
        };
        if app.inactive || outcome == DialogOutcome::Inactive {
            return page("app_inactive", html::inactive());
        }
        let redirect_uri = call.get("redirect_uri").unwrap_or_default().to_owned();
        if !is_listed(&app, &redirect_uri) || outcome == DialogOutcome::Blocked {
            return page("url_blocked", html::blocked());
        }
        let config = match call.get("config_id") {
            None => None,
            Some(id) => match app.configs.iter().find(|config| config.id == id) {
                Some(config) => Some(config.clone()),
                None => return page("bad_config", html::bad_config()),
            },
        };
        let asked = match &config {
            Some(config) => config.scopes.clone(),
            None => call.list("scope"),
        };
        let Some(person) = self.logged_in(call).cloned() else {
            return page("nobody", html::nobody());
        };
        let state = call.get("state").unwrap_or_default();
        let back = |answer: &[(&str, &str)]| {
            let mut pairs = answer.to_vec();
            if !state.is_empty() {
                pairs.push(("state", state));
            }
            Outcome::Redirect(joined(&redirect_uri, &pairs))
        };
        match outcome {
            DialogOutcome::Page => Outcome::Page {
                status: 200,
                reason: "asked",
                html: html::consent(&app.name, &asked, &self.choices(call)),
            },
            DialogOutcome::Deny => back(&[
                ("error", "access_denied"),
                ("error_code", "200"),
                ("error_description", "Permissions error"),
                ("error_reason", "user_denied"),
            ]),
            DialogOutcome::Error => back(&[
                ("error_code", "1"),
                ("error_message", "Sorry, something went wrong by script."),
            ]),
            _ => {
                let code = Code {
                    value: make_up("AQ"),
                    app: app.id.clone(),
                    person: person.id.clone(),
                    redirect_uri: redirect_uri.clone(),
                    scopes: Vec::new(),
                    config: config.map(|config| config.id),
                    made_at: now,
                    used: false,
                    lapsed: false,
                };
                let (granted, denied) = self.consent(call, &app, &person, &asked);
                let value = code.value.clone();
                self.codes.add(Code {
                    scopes: granted.clone(),
                    ..code
                });
                let mut pairs = vec![("code", value.as_str())];
                let (granted, denied) = (granted.join(","), denied.join(","));
                let listed = call.get("response_type").unwrap_or_default();
                if listed.contains("granted_scopes") {
                    pairs.push(("granted_scopes", &granted));
                    pairs.push(("denied_scopes", &denied));
                }
                back(&pairs)
            }
        }
    }

    /// What is to come of it: what the URL says, else what the world says, else what suits the one
    /// who asks.
    fn outcome(&self, call: &Call) -> DialogOutcome {
        let said = call.get("sandbox").and_then(|word| {
            let word = serde_json::Value::String(word.to_owned());
            serde_json::from_value(word).ok()
        });
        match said.unwrap_or(self.mood.outcome) {
            DialogOutcome::Ask if call.wants_html => DialogOutcome::Page,
            DialogOutcome::Ask => DialogOutcome::Allow,
            other => other,
        }
    }

    /// Who is logged in.
    fn logged_in(&self, call: &Call) -> Option<&Person> {
        let named = call.get("sandbox_person").or(self.mood.person.as_deref());
        match named {
            Some(id) => self.world.person(id),
            None => self.world.people.first(),
        }
    }

    /// The buttons of the page: a name, and where it leads.
    fn choices(&self, call: &Call) -> Vec<(String, String)> {
        let mut choices = Vec::new();
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let to = |word: &str, person: &str| {
            let asked = form_urlencoded::parse(query.as_bytes());
            let kept = asked.filter(|(name, _)| name != "sandbox" && name != "sandbox_person");
            let query = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(kept)
                .extend_pairs([("sandbox", word), ("sandbox_person", person)])
                .finish();
            format!("{path}?{query}")
        };
        for person in &self.world.people {
            choices.push((format!("Allow as {}", person.name), to("allow", &person.id)));
        }
        let first = self.logged_in(call).map_or("", |person| &person.id);
        choices.push(("Cancel".to_owned(), to("deny", first)));
        choices
    }

    /// What the person grants and declines of what is asked for.
    fn consent(
        &mut self,
        call: &Call,
        app: &App,
        person: &Person,
        asked: &[String],
    ) -> (Vec<String>, Vec<String>) {
        let asked: BTreeSet<String> = asked.iter().cloned().collect();
        let mut declined: BTreeSet<String> = call.list("sandbox_decline").into_iter().collect();
        declined.extend(self.mood.decline.iter().cloned());
        let consent = self.consents.of(person, &app.id);
        if call.get("auth_type") != Some("rerequest") {
            // what was declined before is not asked for again
            declined.extend(consent.declined.iter().cloned());
        }
        declined.retain(|scope| asked.contains(scope));
        if app.all_or_nothing && !declined.is_empty() {
            declined.clone_from(&asked);
        }
        for scope in &asked {
            if declined.contains(scope) {
                consent.granted.remove(scope);
                consent.declined.insert(scope.clone());
            } else {
                consent.declined.remove(scope);
                consent.granted.insert(scope.clone());
            }
        }
        // a token has what was granted before, too
        let granted = consent.granted.iter().cloned().collect();
        (granted, declined.into_iter().collect())
    }
}

fn page(reason: &'static str, html: String) -> Outcome {
    Outcome::Page {
        status: 400,
        reason,
        html,
    }
}

/// The URL with these pairs in its query, and the fragment behind.
fn joined(uri: &str, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    let uri = uri.split('#').next().unwrap_or_default();
    let sign = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{sign}{query}{FRAGMENT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_what_was_there() {
        let pairs = [("code", "AQ"), ("state", "a b")];
        let cases = [
            (
                "http://localhost:8080/",
                "http://localhost:8080/?code=AQ&state=a+b#_=_",
            ),
            (
                "https://a.example/cb?x=1",
                "https://a.example/cb?x=1&code=AQ&state=a+b#_=_",
            ),
            (
                "https://a.example/cb#x",
                "https://a.example/cb?code=AQ&state=a+b#_=_",
            ),
        ];
        for (uri, expected) in cases {
            assert_eq!(joined(uri, &pairs), expected);
        }
    }
}
