//! The address of the login dialog, and the address it leads back to.

use url::Url;

use super::OauthClient;
use crate::secret::Secret;

/// One visit to the login dialog.
#[derive(Clone, Copy, Debug)]
pub struct Dialog<'a> {
    /// The app id.
    pub client_id: &'a str,
    /// Where Meta sends the browser afterwards: byte for byte what the exchange of the code is
    /// told, and for a live app an entry of its Valid OAuth redirect URIs.
    pub redirect_uri: &'a str,
    /// A random text, good for one login, that must come back unchanged.
    pub state: &'a Secret,
    /// What the app wants.
    pub ask: Ask<'a>,
    /// Asks again for permissions that were declined before.
    pub rerequest: bool,
}

/// What the dialog asks the person for.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// These permissions, such as `ads_management`.
    Scopes(&'a [String]),
    /// What a configuration of Facebook Login for Business says; the id of it. Plain Facebook
    /// Login does not know these.
    Config(&'a str),
}

/// Why an address cannot be led back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Empty, or the word `null` or `undefined`.
    #[error("the redirect URI is empty; expected an address such as http://localhost:8080/")]
    Empty,
    /// No scheme: Meta would answer with 191.
    #[error(
        "the redirect URI is not absolute; it begins with http:// or https://, such as http://localhost:8080/"
    )]
    Relative,
    /// Another scheme than http and https.
    #[error("the redirect URI is neither http nor https; expected such as http://localhost:8080/")]
    Scheme,
    /// No host, or a user in front of it.
    #[error(
        "the redirect URI has no plain host; expected scheme, host and path, such as http://localhost:8080/"
    )]
    Host,
    /// A part behind `#`.
    #[error("the redirect URI has a part behind `#`, which Meta does not allow; leave it out")]
    Fragment,
    /// Percent-encoded already, once or twice.
    #[error(
        "the redirect URI is percent-encoded already; write it plainly, such as http://localhost:8080/, for it is encoded once when it is sent"
    )]
    Encoded,
    /// A blank or a control character.
    #[error("the redirect URI has a blank or a control character in it; take it out")]
    Blank,
}

impl RedirectUriError {
    /// The stable word for `--json`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "redirect_uri_empty",
            Self::Relative => "redirect_uri_relative",
            Self::Scheme => "redirect_uri_scheme",
            Self::Host => "redirect_uri_host",
            Self::Fragment => "redirect_uri_fragment",
            Self::Encoded => "redirect_uri_encoded",
            Self::Blank => "redirect_uri_blank",
        }
    }
}

/// Checks a redirect URI before Meta sees it: what it would answer with 191, and what would be
/// encoded twice.
pub fn check_redirect_uri(uri: &str) -> Result<(), RedirectUriError> {
    if uri.is_empty() || matches!(uri, "null" | "undefined") {
        return Err(RedirectUriError::Empty);
    }
    if uri.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(RedirectUriError::Blank);
    }
    if is_encoded(uri) {
        return Err(RedirectUriError::Encoded);
    }
    let url = match Url::parse(uri) {
        Ok(url) => url,
        Err(url::ParseError::EmptyHost) => return Err(RedirectUriError::Host),
        Err(_) => return Err(RedirectUriError::Relative),
    };
    if !matches!(url.scheme(), "http" | "https") {
        // `localhost:8080/` reads as a scheme and a path
        return Err(if uri.contains("://") {
            RedirectUriError::Scheme
        } else {
            RedirectUriError::Relative
        });
    }
    // a parser mends `http:/host`; Meta compares bytes
    if !uri.contains("://") || !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectUriError::Host);
    }
    if url.fragment().is_some() {
        return Err(RedirectUriError::Fragment);
    }
    Ok(())
}

/// Whether the scheme is written with escapes, or an escape is escaped.
fn is_encoded(uri: &str) -> bool {
    let lower = uri.to_ascii_lowercase();
    let scheme = lower.strip_prefix("http").unwrap_or_default();
    let scheme = scheme.strip_prefix('s').unwrap_or(scheme);
    let twice = lower.match_indices("%25").any(|(at, _)| {
        let next = lower.as_bytes().get(at + 3..at + 5);
        next.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    scheme.starts_with('%') || twice
}

impl OauthClient {
    /// The address to open in a browser. It holds the state and no other secret.
    pub fn dialog_url(&self, dialog: &Dialog<'_>) -> Url {
        let mut url = self.address(&self.settings.dialog_url, "dialog/oauth");
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("client_id", dialog.client_id)
                .append_pair("redirect_uri", dialog.redirect_uri)
                .append_pair("state", dialog.state.expose())
                .append_pair("response_type", "code");
            match dialog.ask {
                Ask::Scopes(scopes) => query.append_pair("scope", &scopes.join(",")),
                Ask::Config(id) => query.append_pair("config_id", id),
            };
            if dialog.rerequest {
                query.append_pair("auth_type", "rerequest");
            }
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::client;
    use super::*;

    #[test]
    fn the_dialog_is_asked_for_exactly_so() {
        let client = client("https://graph.facebook.com");
        let state = Secret::new("s+1/=&x".to_owned());
        let scopes = [
            "ads_management".to_owned(),
            "business_management".to_owned(),
        ];
        let dialog = Dialog {
            client_id: "1234567890123456",
            redirect_uri: "http://localhost:8080/",
            state: &state,
            ask: Ask::Scopes(&scopes),
            rerequest: false,
        };
        assert_eq!(
            client.dialog_url(&dialog).as_str(),
            "https://www.facebook.com/v26.0/dialog/oauth?client_id=1234567890123456\
             &redirect_uri=http%3A%2F%2Flocalhost%3A8080%2F&state=s%2B1%2F%3D%26x\
             &response_type=code&scope=ads_management%2Cbusiness_management"
        );
        let dialog = Dialog {
            redirect_uri: "https://example.com/a%20b?x=1",
            ask: Ask::Config("77"),
            rerequest: true,
            ..dialog
        };
        assert_eq!(
            client.dialog_url(&dialog).as_str(),
            "https://www.facebook.com/v26.0/dialog/oauth?client_id=1234567890123456\
             &redirect_uri=https%3A%2F%2Fexample.com%2Fa%2520b%3Fx%3D1&state=s%2B1%2F%3D%26x\
             &response_type=code&config_id=77&auth_type=rerequest"
        );
        assert!(!format!("{dialog:?}").contains("s+1"));
    }

    #[test]
    fn a_redirect_uri_is_checked_before_meta_sees_it() {
        use RedirectUriError::{Blank, Empty, Encoded, Fragment, Host, Relative, Scheme};
        for good in [
            "http://localhost:8080/",
            "http://localhost:8080",
            "https://example.com/callback?x=1&y=a%20b",
            "https://www.facebook.com/connect/login_success.html",
            "https://example.com/100%25",
        ] {
            assert_eq!(check_redirect_uri(good), Ok(()), "{good}");
        }
        for (bad, want) in [
            ("", Empty),
            ("null", Empty),
            ("undefined", Empty),
            ("/callback", Relative),
            ("localhost:8080/", Relative),
            ("example.com/callback", Relative),
            ("//example.com/", Relative),
            ("ftp://example.com/", Scheme),
            ("fb123://authorize", Scheme),
            ("http://", Host),
            ("http:/localhost/", Host),
            ("https://user@example.com/", Host),
            ("https://user:word@example.com/", Host),
            ("https://example.com/#top", Fragment),
            ("https%3A%2F%2Fexample.com%2F", Encoded),
            ("https%253A%252F%252Fexample.com", Encoded),
            ("HTTP%3a%2f%2flocalhost", Encoded),
            ("https://example.com/?to=a%252Fb", Encoded),
            ("http://localhost:8080/ ", Blank),
            ("http://localhost:8080/\n", Blank),
        ] {
            let error = check_redirect_uri(bad);
            assert_eq!(error, Err(want), "{bad:?}");
            assert!(want.code().starts_with("redirect_uri_"));
        }
    }
}
