//! `oauth/access_token`: a code for a token, a token for a longer one, a secret for an app token.

use serde_json::{Map, Value, json};
use url::{Host, Url};

use super::call::Call;
use super::codes::is_code;
use super::refusal as no;
use super::registry::Registry;
use super::span::seconds;
use super::tokens::{Token, TokenKind, make_up, reach};
use super::world::{App, AppMode, LoginConfig};
use crate::sandbox::graph_error::GraphError;
use crate::sandbox::refusal::Refusal;

/// The life of a long-lived token: 60 days, in seconds.
pub(super) const SIXTY_DAYS: i64 = 60 * 86_400;

/// How long after consent a user token can read data: 90 days, in seconds. Meta gives no number.
const DATA_ACCESS: i64 = 90 * 86_400;

fn refuse<T>(row: &'static Refusal) -> Result<T, Box<GraphError>> {
    Err(GraphError::boxed(row))
}

impl Registry {
    pub(super) fn oauth(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        match call.get("grant_type") {
            None | Some("authorization_code") => self.code_grant(call, now),
            Some("fb_exchange_token") => self.exchange_grant(call, now),
            Some("client_credentials") => {
                let app = self.client(call)?;
                check_secret(app, call)?;
                let token = format!("{}|{}", app.id, app.secret);
                Ok(json!({ "access_token": token, "token_type": "bearer" }))
            }
            Some(_) => {
                self.client(call)?;
                refuse(&no::GRANT_TYPE)
            }
        }
    }

    /// In this order: app, form of the redirect URI, secret, form of the code, whether it is used,
    /// whether it is too old, whether the redirect URI is that of the dialog.
    fn code_grant(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let app = self.client(call)?.clone();
        let redirect_uri = call.get("redirect_uri").unwrap_or_default();
        check_redirect(&app, redirect_uri)?;
        check_secret(&app, call)?;
        let Some(given) = call.get("code") else {
            return refuse(&no::CODE_MISSING);
        };
        let lifetime = seconds(self.world.code_lifetime);
        // a code nobody made, or made for another app, looks like one that was cut short
        let code = self.codes.find(given).filter(|code| code.app == app.id);
        let Some(code) = code.filter(|_| is_code(given)) else {
            return refuse(&no::CODE_FORMAT);
        };
        if code.lapsed {
            return refuse(&no::CODE_LAPSED);
        }
        if code.used {
            return refuse(&no::CODE_USED);
        }
        if now >= code.made_at + lifetime {
            return refuse(&no::CODE_EXPIRED);
        }
        if code.redirect_uri != redirect_uri {
            return refuse(&no::REDIRECT_DIFFERS);
        }
        code.used = true;
        let config = code.config.clone();
        let (person, scopes) = (code.person.clone(), code.scopes.clone());
        let config = app.configs.iter().find(|c| Some(&c.id) == config.as_ref());
        let of_system_user = config.and_then(|c| self.of_system_user(&app, c, now));
        let token = of_system_user.unwrap_or_else(|| {
            let life = seconds(app.user_token_lifetime);
            Token {
                data_access_expires_at: Some(now + DATA_ACCESS),
                ..self.fresh(TokenKind::User, &app.id, &person, scopes, Some(life), now)
            }
        });
        Ok(self.hand_out(token, now))
    }

    fn of_system_user(&self, app: &App, config: &LoginConfig, now: i64) -> Option<Token> {
        let user = config.system_user.as_ref()?;
        let life = config.expires_in.map(seconds);
        let scopes = config.scopes.clone();
        Some(self.fresh(TokenKind::SystemUser, &app.id, user, scopes, life, now))
    }

    fn exchange_grant(&mut self, call: &Call, now: i64) -> Result<Value, Box<GraphError>> {
        let app = self.client(call)?;
        check_secret(app, call)?;
        let Some(given) = call.get("fb_exchange_token") else {
            return refuse(&no::EXCHANGE_MISSING);
        };
        let old = self.live(given, now)?;
        if old.app != app.id {
            return refuse(&no::EXCHANGE_FOREIGN);
        }
        let sixty_days = call.is_set("set_token_expires_in_60_days");
        let expires_at = match (old.kind, old.expires_at) {
            // the date of a token that is long-lived already stays, unless a quirk says otherwise
            (TokenKind::User, at) if old.long_lived && !self.quirks.extend_long_lived => at,
            (TokenKind::User, _) => Some(now + SIXTY_DAYS),
            (TokenKind::SystemUser, _) if sixty_days => Some(now + SIXTY_DAYS),
            (TokenKind::SystemUser, None) => None,
            // a token that expires is renewed for 60 days, which must be asked for
            (TokenKind::SystemUser, Some(_)) | (TokenKind::Page, _) => {
                return refuse(&no::EXCHANGE_KIND);
            }
        };
        let token = Token {
            name: String::new(),
            value: make_up("EAA"),
            long_lived: true,
            issued_at: now,
            expires_at,
            ..old.clone()
        };
        Ok(self.hand_out(token, now))
    }

    /// A token of this holder that reaches what the holder reaches now; it lives for so many
    /// seconds, or for ever.
    pub(super) fn fresh(
        &self,
        kind: TokenKind,
        app: &str,
        holder: &str,
        scopes: Vec<String>,
        life: Option<i64>,
        now: i64,
    ) -> Token {
        Token {
            name: String::new(),
            value: make_up("EAA"),
            kind,
            app: app.to_owned(),
            holder: holder.to_owned(),
            page: None,
            scopes,
            granular: std::collections::BTreeMap::new(),
            pixels: Some(reach(&self.world, holder)),
            own_secret: None,
            long_lived: life.is_none_or(|seconds| seconds > SHORT_LIVED),
            issued_at: now,
            expires_at: life.map(|seconds| now + seconds),
            data_access_expires_at: None,
            trouble: None,
            parent: None,
        }
    }

    /// Enters the token into the book, and says so.
    fn hand_out(&mut self, token: Token, now: i64) -> Value {
        let expires_in = token.expires_at.map(|at| at - now);
        let mut answer = Map::new();
        answer.insert("access_token".into(), self.book.enter(token).into());
        answer.insert("token_type".into(), "bearer".into());
        if let Some(seconds) = expires_in
            && !self.quirks.omit_expires_in
        {
            answer.insert("expires_in".into(), seconds.into());
        }
        answer.into()
    }
}

/// Longest life of what Meta calls a short-lived token: 2 hours, in seconds.
pub(super) const SHORT_LIVED: i64 = 7_200;

/// Whether `client_secret` is the app's.
pub(super) fn check_secret(app: &App, call: &Call) -> Result<(), Box<GraphError>> {
    if call.get("client_secret") == Some(app.secret.as_str()) {
        Ok(())
    } else {
        refuse(&no::SECRET)
    }
}

fn check_redirect(app: &App, text: &str) -> Result<(), Box<GraphError>> {
    if text.is_empty() {
        return refuse(&no::REDIRECT_MISSING);
    }
    let Ok(uri) = Url::parse(text) else {
        return refuse(&no::REDIRECT_RELATIVE);
    };
    if !uri.has_host() {
        return refuse(&no::REDIRECT_RELATIVE);
    }
    // another path of a host that is listed is a mismatch, for the code to tell
    let listed = app
        .redirect_uris
        .iter()
        .filter_map(|uri| Url::parse(uri).ok());
    let same_host = listed.into_iter().any(|known| known.host() == uri.host());
    if same_host || is_localhost(app, &uri) {
        Ok(())
    } else {
        refuse(&no::REDIRECT_REFUSED)
    }
}

/// Whether it is `http://localhost`, any port, for an app in development: it must be the name.
fn is_localhost(app: &App, uri: &Url) -> bool {
    app.mode == AppMode::Development
        && uri.scheme() == "http"
        && uri.host() == Some(Host::Domain("localhost"))
}

/// Whether the dialog may send someone back there: byte for byte what is listed, or localhost.
pub(super) fn is_listed(app: &App, text: &str) -> bool {
    app.redirect_uris.iter().any(|known| known == text)
        || Url::parse(text).is_ok_and(|uri| is_localhost(app, &uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(mode: &str) -> App {
        let text = format!(
            "id='1'\nname='a'\nsecret='s'\nmode='{mode}'\nredirect_uris=['https://gate.example/cb']"
        );
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn redirect_uris() {
        let cases = [
            ("", Err("redirect_uri_missing"), false),
            ("null", Err("redirect_uri_relative"), false),
            ("/cb", Err("redirect_uri_relative"), false),
            (
                "https%3A%2F%2Fgate.example%2Fcb",
                Err("redirect_uri_relative"),
                false,
            ),
            ("mailto:a", Err("redirect_uri_relative"), false),
            (
                "https://other.example/cb",
                Err("redirect_uri_refused"),
                false,
            ),
            ("https://gate.example/cb", Ok(()), true),
            ("https://gate.example/cb/", Ok(()), false),
            ("https://gate.example/cb?x=1", Ok(()), false),
            ("http://localhost:8080/", Ok(()), true),
            ("http://localhost/x", Ok(()), true),
            ("http://127.0.0.1:8080/", Err("redirect_uri_refused"), false),
            (
                "https://localhost:8080/",
                Err("redirect_uri_refused"),
                false,
            ),
        ];
        for (uri, expected, listed) in cases {
            let app = app("development");
            let seen = check_redirect(&app, uri).map_err(|error| error.reason);
            assert_eq!(seen, expected, "{uri}");
            assert_eq!(is_listed(&app, uri), listed, "{uri}");
        }
        let live = app("live");
        assert!(!is_listed(&live, "http://localhost:8080/"));
        assert!(is_listed(&live, "https://gate.example/cb"));
    }
}
