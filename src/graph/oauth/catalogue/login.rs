//! Errors on the way to a token: the dialog, the exchange of its code, the app's credentials.

use super::Context::{self, App, Code, Dialog, Extend, Revoke};
use super::{Exit, Message, Row, State};

const OAUTH: &[Context] = &[Code, Extend, App, Revoke];

const AGAIN: &str =
    "Log in again: capigate token login. A code is good once and for a short time only.";

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row::new("dialog-denied", State::Unchanged, Exit::Cancelled).on(&[Dialog]).codes(&[(200, 200)]).text(
        "login declined",
        "The person pressed Cancel, or declined a permission that the app cannot do without.",
        "Log in again and allow what is asked for: capigate token login"),
    Row::new("dialog-no-answer", State::Unchanged, Exit::Cancelled).on(&[Dialog]).text(
        "nobody came back from the login",
        "Facebook sends no answer when it shows a page of its own instead: \"URL Blocked\" (the redirect URI is not listed), \"App not active\" (the app is in Development mode and the person has no role in it), or \"Invalid App ID\" (also a wrong config_id). Or nobody has finished the login.",
        "Look at the page in the browser. Add the redirect URI under Facebook Login, Settings, Valid OAuth Redirect URIs; http://localhost works only while the app is in Development mode. Check the app id. Then: capigate token login"),
    Row::new("dialog-state", State::Unchanged, Exit::Cancelled).on(&[Dialog]).text(
        "not the answer to this login",
        "The state in the redirect is missing, double, or not the one this login was started with. It belongs to an older login or to somebody else's, so its code was not used.",
        "Close old login pages and start again: capigate token login"),
    Row::new("dialog-no-code", State::Unchanged, Exit::Usage).on(&[Dialog]).text(
        "no code in it",
        "What was pasted is neither the address of the page that the browser ended on nor a code.",
        "Copy the whole address from the browser, from http to the end, and paste it again; or start again: capigate token login"),

    Row::new("code-used", State::Unchanged, Exit::Token).on(&[Code]).codes(&[(100, 100)]).sub(36_009).message(Message::Starts(&["This authorization code has been used"])).text(
        "this code has been used",
        "Each code can be exchanged once. It was exchanged before: by an earlier attempt whose answer may have been lost, or by another program.", AGAIN),
    Row::new("code-expired", State::Unchanged, Exit::Token).on(&[Code]).codes(&[(100, 100)]).sub(36_007).message(Message::Starts(&["This authorization code has expired"])).text(
        "this code has expired",
        "Too much time went by between the login and the exchange.", AGAIN),
    Row::new("redirect-mismatch", State::Config, Exit::App).on(&[Code]).codes(&[(100, 100)]).sub(36_008).message(Message::Starts(&["Error validating verification code"])).text(
        "the redirect URIs differ",
        "The redirect URI of the exchange is not byte for byte the one of the dialog: a slash at the end, the port, http or https, or percent-encoding.",
        "Use the same text for both, such as http://localhost:8080/ with its slash, and log in again: capigate token login"),
    Row::new("code-malformed", State::Unchanged, Exit::Token).on(&[Code]).codes(&[(100, 100)]).bare().message(Message::Starts(&["Invalid verification code format"])).text(
        "this is not a whole code",
        "The code was cut off when it was copied, or #_=_ or another parameter was copied with it.",
        "Paste the whole address of the page that the browser ended on: capigate token login, or capigate token exchange"),
    Row::new("code-invalid", State::Unchanged, Exit::Token).on(&[Code]).codes(&[(100, 100)]).bare().message(Message::Starts(&["Code was invalid or expired"])).text(
        "this code is not good any more",
        "It has expired, or the person took the app's permissions back in between.", AGAIN),
    Row::new("code-missing", State::Unchanged, Exit::Token).on(&[Code]).codes(&[(1, 1)]).bare().message(Message::Starts(&["Missing authorization code"])).text(
        "the code is missing",
        "The exchange was asked for without a code.", AGAIN),
    Row::new("code-refused", State::Unchanged, Exit::Token).on(&[Code]).codes(&[(100, 100)]).text(
        "the exchange of the code was refused",
        "Meta refused the code or something beside it, and its words tell more than its code.", AGAIN),

    Row::new("redirect-not-absolute", State::Config, Exit::App).on(&[Code, Dialog]).codes(&[(191, 191)]).message(Message::Has(&["isn't an absolute URI", "is not an absolute URI"])).text(
        "the redirect URI is not absolute",
        "Scheme or host is missing, or it was percent-encoded twice (https%253A...), or it is the word null.",
        "Write it plainly and whole, such as http://localhost:8080/, and log in again: capigate token login"),
    Row::new("redirect-missing", State::Config, Exit::App).on(&[Code, Dialog]).codes(&[(191, 191)]).message(Message::Starts(&["Missing redirect_uri"])).text(
        "the redirect URI is missing",
        "The exchange of a code needs the redirect URI of its dialog.",
        "Name it, such as http://localhost:8080/: capigate token exchange"),
    Row::new("redirect-not-allowed", State::Config, Exit::App).on(&[Code, Dialog]).codes(&[(191, 191)]).text(
        "the redirect URI is not allowed",
        "The app does not list this redirect URI, or it is not one that Meta takes.",
        "Add it, byte for byte, under Facebook Login, Settings, Valid OAuth Redirect URIs, and log in again: capigate token login"),

    Row::new("app-secret-wrong", State::Config, Exit::App).on(OAUTH).codes(&[(1, 1)]).text(
        "the app secret is wrong",
        "App id and app secret do not belong together. Meta gives its code for unknown errors, but trying again does not help.",
        "Copy the secret again from the app's dashboard, App settings, Basic, and check the app id; a secret that was reset is gone."),
    Row::new("app-id-missing", State::Config, Exit::App).on(OAUTH).codes(&[(101, 101)]).bare().message(Message::Starts(&["Missing client_id"])).text(
        "the app id is missing",
        "The request had no app id.",
        "Name the app; its id stands in the dashboard under App settings, Basic."),
    Row::new("app-id-wrong", State::Config, Exit::App).codes(&[(101, 101)]).text(
        "there is no such app",
        "Meta does not know this app id. Its words may speak of a system error, but trying again does not help.",
        "Copy the app id again from the app's dashboard, App settings, Basic."),

    Row::new("dialog-failed", State::Unchanged, Exit::App).on(&[Dialog]).text(
        "the login dialog failed",
        "The dialog came back with an error of its own; its words tell more.",
        "Check the app's settings for Facebook Login and what is asked for, and log in again: capigate token login"),
    Row::new("code-answer-lost", State::Unchanged, Exit::Network).on(&[Code]).text(
        "the answer to the exchange was lost",
        "The code was sent, and no answer came. It may have been spent, so it was not tried again.", AGAIN),
];
