//! Errors that say what became of a token, and those that say nothing about it.

use super::Context::Extend;
use super::{Exit, Message, Row, State};

/// Meta's two codes for a token that is no good; their subcodes are the same.
const SESSION: &[(i64, i64)] = &[(190, 190), (102, 102)];

const RENEW: &str = "Get a new token: capigate token login for a person's, capigate token system-user for a system user's, or generate one in Events Manager and hand it over with capigate token rotate (capigate token add where the pixel has none yet).";

/// What fits nothing.
pub(super) const UNEXPLAINED: Row = Row::new("unexplained", State::Unchanged, Exit::Network).text(
    "an error that is not in the catalogue",
    "Meta's own words are all there is to go by.",
    "Look the code up on Meta's page on error handling; give the trace id to Meta's support.",
);

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    Row::new("extend-too-late", State::Expired, Exit::Token).on(&[Extend]).codes(SESSION).sub(463).message(Message::Has(&["session has expired"])).text(
        "the token has expired and cannot be extended",
        "Only a token that is still good can be exchanged for one that lives longer. A system user's token of 60 days is lost when it is not renewed in time.",
        "Get a new token: capigate token login for a person's, capigate token system-user for a system user's."),

    Row::new("app-removed", State::Revoked, Exit::Token).codes(SESSION).sub(458).message(Message::Has(&["has not authorized application"])).text(
        "the app was removed",
        "The person has removed the app from their account, or never allowed it.",
        "Let the person allow the app again: capigate token login"),
    Row::new("account-checkpoint", State::Blocked, Exit::Token).codes(SESSION).sub(459).text(
        "the person's account is held up",
        "Facebook wants the person to log in at facebook.com and pass a check. Until then a new login through the app does not help.",
        "Let the person log in at www.facebook.com and follow the steps there; then: capigate token verify"),
    Row::new("password-changed", State::Revoked, Exit::Token).codes(SESSION).sub(460).message(Message::Has(&["does not match current stored session"])).text(
        "the password was changed",
        "The person has changed the password, or Facebook has ended all sessions for safety.",
        "Let the person log in again: capigate token login"),
    Row::new("session-reset", State::Revoked, Exit::Token).codes(SESSION).sub(461).text(
        "the session was reset",
        "The app was removed and allowed again since. Unconfirmed: the number comes from an unofficial list.",
        "Log in again: capigate token login"),
    Row::new("session-stale", State::Revoked, Exit::Token).codes(SESSION).sub(462).text(
        "the session is stale",
        "The session behind the token has been replaced. Unconfirmed: the number comes from an unofficial list.",
        "Log in again: capigate token login"),
    Row::new("token-expired", State::Expired, Exit::Token).codes(SESSION).sub(463).message(Message::Has(&["session has expired"])).text(
        "the token has expired",
        "Its time is over. It cannot be extended any more.", RENEW),
    Row::new("account-unconfirmed", State::Blocked, Exit::Token).codes(SESSION).sub(464).text(
        "the person's account is not confirmed",
        "Facebook wants the person to confirm their account.",
        "Let the person confirm the account at www.facebook.com; then: capigate token verify"),
    Row::new("user-invalid", State::Invalid, Exit::Token).codes(SESSION).sub(465).text(
        "the person is not valid",
        "The token names a person whom Meta does not take. Unconfirmed: the number comes from an unofficial list.", RENEW),
    Row::new("session-malformed", State::Invalid, Exit::Token).codes(SESSION).sub(456).text(
        "the session is malformed",
        "The token cannot be read. Unconfirmed: the number comes from an unofficial list.", RENEW),
    Row::new("session-origin", State::Invalid, Exit::Token).codes(SESSION).sub(457).text(
        "the session has a wrong origin",
        "The token was made for another place. Unconfirmed: the number comes from an unofficial list.", RENEW),
    Row::new("token-revoked-by-call", State::Revoked, Exit::Token).codes(SESSION).sub(466).text(
        "the token was taken back through the API",
        "A call has ended it; expected after capigate token revoke. Unconfirmed: the number comes from an unofficial list.", RENEW),
    Row::new("token-revoked", State::Revoked, Exit::Token).codes(SESSION).sub(467).message(Message::Has(&["has been invalidated"])).text(
        "the token is not valid any more",
        "The person logged out, or the token was taken back.", RENEW),
    Row::new("token-unused", State::Expired, Exit::Token).codes(SESSION).sub(468).text(
        "the token was not used for too long",
        "Meta ends tokens that nobody uses. Unconfirmed: the number comes from an unofficial list.", RENEW),
    Row::new("page-role-lost", State::Revoked, Exit::Token).codes(SESSION).sub(492).text(
        "the person has lost the role on the Page",
        "A Page's token ends when the person behind it may not act for the Page any more.",
        "Give the person the role back and take a new token: capigate token page"),
    Row::new("app-inactive", State::Blocked, Exit::App).codes(SESSION).sub(493).text(
        "the app is not active",
        "The app was switched off by its owner or by Meta.",
        "Let the app's owner look at its dashboard and bring it back; then: capigate token verify"),

    Row::new("token-malformed", State::Invalid, Exit::Token).codes(SESSION).bare().message(Message::Has(&["malformed access token", "cannot parse access token", "could not be decrypted", "session key", "invalid oauth access token"])).text(
        "this is not a token",
        "Meta cannot read it: cut off or doubled when it was copied, with quotes around it, or of another kind.",
        "Copy the token again, whole and alone: capigate token rotate, or capigate token add where the pixel has none yet"),
    Row::new("token-refused", State::Invalid, Exit::Token).codes(SESSION).text(
        "the token is not valid",
        "Meta refuses the token and does not say why in a way that is known here.",
        "See what Meta says of it, capigate token inspect; then get a new one: capigate token login, capigate token system-user or capigate token rotate."),

    Row::new("app-not-installed", State::Revoked, Exit::Token).codes(&[(412, 412)]).text(
        "the app is not installed",
        "The person or the system user does not have the app any more.",
        "Allow it again: capigate token login, or capigate token system-user"),
    Row::new("session-refused", State::Invalid, Exit::Token).codes(&[(450, 450), (452, 452), (2_500, 2_500)]).text(
        "no session for this token",
        "Meta sees no active token in the request, or none that it knows.", RENEW),
    Row::new("signature-wrong", State::Config, Exit::App).codes(&[(104, 104)]).text(
        "the request is not signed as it should be",
        "A token is required, or the proof made with the app secret is wrong.",
        "Check which app issued the token, capigate token inspect, and put that app's secret into the vault: capigate token app add"),
    Row::new("request-refused", State::Unchanged, Exit::App).codes(&[(100, 100)]).text(
        "a parameter was refused",
        "Meta does not take something in the request, and its words tell more than its code.",
        "Check the ids, and graph.version: capigate config check"),

    Row::new("policy-block", State::Unchanged, Exit::Permission).codes(&[(368, 368)]).text(
        "blocked for a while",
        "Meta has blocked the business, the person or the app for breaking a policy. It is not the token.",
        "Look at Business support home and Account quality for what has to be done; then: capigate token verify"),
    Row::new("rate-limit", State::Unchanged, Exit::Network).codes(&[(4, 4), (9, 9), (17, 17), (32, 32), (341, 341), (613, 613), (80_000, 80_014)]).text(
        "too many calls",
        "A limit of calls is used up. It is not the token.",
        "Wait some minutes, and try again."),
    Row::new("meta-trouble", State::Unchanged, Exit::Network).codes(&[(1, 2)]).text(
        "trouble at Meta",
        "Meta has a problem of its own for the moment. It is not the token.",
        "Try again in some minutes; if it stays, look at metastatus.com."),

    Row::new("unreachable", State::Unchanged, Exit::Network).text(
        "Meta cannot be reached",
        "No connection, none in time, or one that broke.",
        "Check the network, DNS, the proxy and graph.url, and try again."),
    Row::new("tls", State::Unchanged, Exit::Network).text(
        "no TLS connection to Meta",
        "The certificate that was shown is not trusted here, or it is not Meta's: often a proxy that opens TLS, or missing CA certificates.",
        "Install the system's CA certificates (on Debian: apt-get install ca-certificates), or add the proxy's; check the clock and graph.url."),
    Row::new("answer-lost", State::Unchanged, Exit::Network).text(
        "the answer was lost",
        "The request was sent, and no answer came. It may have been done.",
        "Look before trying again: capigate token inspect, or capigate token list"),
    Row::new("unreadable", State::Unchanged, Exit::Network).text(
        "not an answer of Meta's",
        "What came back is not what this edge answers: a page of a proxy, a cut body, or an answer about something else.",
        "Check graph.url, graph.version and what stands between here and Meta: capigate config check"),
    Row::new("not-done", State::Unchanged, Exit::App).text(
        "it was not done",
        "Meta answered without an error that it did not do it.",
        "Look at the app and the system user in the business settings, and try again."),
    Row::new("token-unsendable", State::Invalid, Exit::Token).text(
        "this is not a token",
        "It has characters that no token has, such as a line break or an umlaut.",
        "Copy the token again, whole and alone: capigate token rotate, or capigate token add where the pixel has none yet"),
    Row::new("bad-value", State::Unchanged, Exit::Usage).text(
        "a value does not have the right shape",
        "An id or a name does not look as Meta writes it, so nothing was sent.",
        "Correct it, and try again."),
    UNEXPLAINED,
];
