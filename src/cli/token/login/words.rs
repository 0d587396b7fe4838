//! What a person is told on the way through a login.

use std::time::Duration;

use url::Url;

use crate::graph::oauth::RedirectError;

/// What to know before the browser opens.
pub(super) fn before(redirect_uri: &str, is_local: bool) -> String {
    let place = if is_local {
        format!(
            "- {redirect_uri} works while the app is in Development mode (the switch at the top of the App\n  Dashboard), for people with a role in the app. A live app needs an https address that is listed\n  under Facebook Login, Settings, Valid OAuth redirect URIs: name it with --redirect-uri."
        )
    } else {
        format!(
            "- {redirect_uri} has to be listed, byte for byte, under Facebook Login, Settings, Valid OAuth\n  redirect URIs. When the browser has ended there, paste its whole address here, at once: it does\n  not matter what the page shows."
        )
    };
    format!(
        "Before you go on:\n{place}\n- Log in with the account that has the ad account and the pixel.\n"
    )
}

/// Where nothing is opened.
pub(super) const OPEN_IT: &str = "Open this address in a browser, on any machine:";

/// Whether the browser was opened.
pub(super) fn browser(is_open: bool) -> &'static str {
    if is_open {
        "The browser is being opened. If no window shows up, open this address in one:"
    } else {
        "No browser can be opened from here. Open this address in one:"
    }
}

/// The address of the dialog.
pub(super) fn address(url: &Url) -> String {
    format!("\n  {url}\n")
}

/// What happens now.
pub(super) fn waiting(timeout: Duration, reads: bool) -> String {
    let seconds = timeout.as_secs();
    let span = match seconds {
        0..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds / 60),
    };
    let paste = if reads {
        "\nOr paste here the address that the browser has ended on, and press Enter:"
    } else {
        ""
    };
    format!("Waiting up to {span} for the login.{paste}")
}

/// What was pasted is not it.
pub(super) fn not_it(error: RedirectError) -> String {
    format!("{error} ({})", error.code())
}
