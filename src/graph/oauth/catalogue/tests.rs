//! What each error must mean, case by case, apart from the table.

use std::collections::BTreeSet;

use super::*;
use crate::graph::oauth::{OauthError, RedirectError, Unreachable};
use crate::graph::scrub::Scrubber;

fn error(code: i64, subcode: i64, message: &str) -> MetaError {
    MetaError {
        status: 400,
        code,
        subcode: (subcode != 0).then_some(subcode),
        kind: None,
        message: Scrubber::new([]).text(message),
        user_title: None,
        user_message: None,
        transient: false,
        trace_id: None,
        class: None,
        retry_after: None,
    }
}

/// The request, the code, the subcode (0 for none), the message as Meta writes it, and the row:
/// written down from Meta's pages and recorded answers, not from the table.
#[rustfmt::skip]
const CASES: &[(Context, i64, i64, &str, &str)] = {
    use Context::{Any, App, Code, DatasetQuality, Debug, Extend, Page, Pixel, Revoke, Send, SystemUser};
    &[
        // the exchange of a code
        (Code, 100, 36_009, "This authorization code has been used.", "code-used"),
        (Code, 100, 36_009, "Ce code d'autorisation a déjà été utilisé.", "code-used"),
        (Code, 100, 0, "This authorization code has been used.", "code-used"),
        (Code, 100, 36_007, "This authorization code has expired.", "code-expired"),
        (Code, 100, 0, "this AUTHORIZATION code has expired.", "code-expired"),
        (Code, 100, 36_008, "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request", "redirect-mismatch"),
        (Code, 100, 0, "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request", "redirect-mismatch"),
        (Code, 100, 0, "Invalid verification code format.", "code-malformed"),
        (Code, 100, 0, "Code was invalid or expired. The session is invalid", "code-invalid"),
        (Code, 100, 0, "(#100) Invalid parameter", "code-refused"),
        (Code, 100, 7, "", "code-refused"),
        (Code, 191, 0, "redirect_uri isn't an absolute URI. Check RFC 3986.", "redirect-not-absolute"),
        (Code, 191, 0, "Missing redirect_uri parameter.", "redirect-missing"),
        (Code, 191, 0, "Invalid redirect_uri: l'URL n'est pas autorisée", "redirect-not-allowed"),
        (Code, 1, 0, "Error validating client secret.", "app-secret-wrong"),
        (Code, 1, 0, "Missing authorization code", "code-missing"),
        (Code, 101, 0, "Error validating application. Cannot get application info due to a system error.", "app-id-wrong"),
        (Code, 101, 0, "Error validating application. Invalid application ID.", "app-id-wrong"),
        (Code, 101, 0, "Missing client_id parameter.", "app-id-missing"),
        // one that lives longer
        (Extend, 190, 463, "Error validating access token: Session has expired on Friday", "extend-too-late"),
        (Extend, 190, 0, "Error validating access token: Session has expired on Friday", "extend-too-late"),
        (Extend, 190, 460, "", "password-changed"),
        (Extend, 190, 0, "Invalid OAuth access token.", "token-malformed"),
        (Extend, 100, 0, "", "extend-refused"),
        (Extend, 1, 0, "Error validating client secret.", "app-secret-wrong"),
        (Extend, 101, 0, "Error validating application. Invalid application ID.", "app-id-wrong"),
        (App, 1, 0, "Error validating client secret.", "app-secret-wrong"),
        (App, 101, 0, "", "app-id-wrong"),
        (Revoke, 1, 0, "Error validating client secret.", "app-secret-wrong"),
        // Pages, system users, taking back
        (Page, 100, 33, "Unsupported get request. Object with ID '1' does not exist", "page-unknown"),
        (Page, 190, 492, "", "page-role-lost"),
        (SystemUser, 100, 0, "Invalid parameter", "system-user-refused"),
        (SystemUser, 100, 1_349_194, "", "system-user-refused"),
        (SystemUser, 200, 0, "(#200) Permissions error", "permission-missing"),
        (SystemUser, 3, 0, "(#3) Application does not have the capability to make this API call.", "capability-missing"),
        (Revoke, 100, 0, "", "revoke-refused"),
        // inspections
        (Debug, 100, 0, "(#100) You must provide an app access token, or a user access token that is an owner or developer of the app", "inspector-not-allowed"),
        (Debug, 100, 0, "(#100) The App_id in the input_token did not match the Viewing App", "inspected-foreign"),
        (Debug, 100, 33, "(#100) The App_id in the input_token did not match the Viewing App", "inspected-foreign"),
        (Debug, 190, 0, "Error validating application. Invalid application ID.", "inspector-wrong"),
        (Debug, 190, 0, "Invalid OAuth access token signature.", "inspector-wrong"),
        (Debug, 190, 463, "", "inspector-wrong"),
        (Debug, 101, 0, "Error validating application.", "app-id-wrong"),
        (Debug, 4, 0, "(#4) Application request limit reached", "rate-limit"),
        // what became of a token
        (Any, 190, 458, "Error validating access token: The user has not authorized application 1.", "app-removed"),
        (Send, 190, 459, "", "account-checkpoint"),
        (Send, 190, 460, "", "password-changed"),
        (Send, 190, 461, "", "session-reset"),
        (Send, 190, 462, "", "session-stale"),
        (Send, 190, 463, "", "token-expired"),
        (Send, 190, 464, "", "account-unconfirmed"),
        (Send, 190, 465, "", "user-invalid"),
        (Send, 190, 456, "", "session-malformed"),
        (Send, 190, 457, "", "session-origin"),
        (Send, 190, 466, "", "token-revoked-by-call"),
        (Send, 190, 467, "", "token-revoked"),
        (Send, 190, 468, "", "token-unused"),
        (Send, 190, 492, "", "page-role-lost"),
        (Send, 190, 493, "", "app-inactive"),
        (Send, 190, 0, "Error validating access token: Session has expired on Thursday, 01-Jan-26 00:00:00 PST.", "token-expired"),
        (Send, 190, 0, "Error validating access token: The session has been invalidated because the user changed the password.", "token-revoked"),
        (Send, 190, 0, "Error validating access token: Session does not match current stored session.", "password-changed"),
        (Send, 190, 0, "Error validating access token: The user has not authorized application 1.", "app-removed"),
        (Send, 190, 0, "Malformed access token EEAAB", "token-malformed"),
        (Send, 190, 0, "Invalid OAuth access token - Cannot parse access token", "token-malformed"),
        (Send, 190, 0, "The access token could not be decrypted", "token-malformed"),
        (Send, 190, 0, "Error validating access token: Session key is malformed", "token-malformed"),
        (Send, 190, 0, "", "token-refused"),
        (Send, 190, 999, "", "token-refused"),
        // a subcode outweighs the words
        (Send, 190, 467, "Session has expired", "token-revoked"),
        (Send, 190, 999, "Session has expired", "token-refused"),
        (Any, 102, 0, "", "token-refused"),
        (Any, 102, 463, "", "token-expired"),
        (Any, 102, 0, "Session has expired", "token-expired"),
        (Any, 412, 0, "", "app-not-installed"),
        (Any, 450, 0, "", "session-refused"),
        (Any, 452, 0, "", "session-refused"),
        (Any, 2_500, 0, "An active access token must be used to query information about the current user.", "session-refused"),
        (Any, 101, 0, "", "app-id-wrong"),
        (Any, 104, 0, "An access token is required to request this resource.", "signature-wrong"),
        // the proof, ahead of all else that 100 may mean
        (Send, 100, 0, "API calls from the server require an appsecret_proof argument", "proof-missing"),
        (Pixel, 100, 0, "Invalid appsecret_proof provided in the API argument", "proof-wrong"),
        (SystemUser, 100, 0, "Invalid appsecret_proof provided in the API argument", "proof-wrong"),
        // pixels and permissions
        (Pixel, 100, 33, "Unsupported get request. Object with ID '1' does not exist, cannot be loaded due to missing permissions", "pixel-unreadable"),
        (Send, 100, 33, "Unsupported post request. Object with ID '1' does not exist", "pixel-unsendable"),
        (Any, 100, 33, "", "object-unknown"),
        (Pixel, 10, 0, "", "pixel-read-denied"),
        (Pixel, 200, 0, "", "pixel-read-denied"),
        (Pixel, 100, 0, "(#100) Tried accessing nonexisting field (x) on node type (AdsPixel)", "field-unknown"),
        (Pixel, 100, 0, "(#100) Missing Permission", "permission-missing-100"),
        (DatasetQuality, 10, 0, "(#10) Application does not have permission for this action", "dataset-quality-denied"),
        (DatasetQuality, 200, 0, "(#200) Permissions error", "dataset-quality-denied"),
        (DatasetQuality, 100, 0, "(#100) Missing Permission", "dataset-quality-permission"),
        (DatasetQuality, 100, 33, "Unsupported get request. Object with ID '1' does not exist", "dataset-quality-unseen"),
        (DatasetQuality, 100, 2_044_055, "Invalid parameter", "dataset-unknown"),
        (DatasetQuality, 2_044_055, 0, "", "dataset-unknown-bare"),
        (DatasetQuality, 190, 463, "", "token-expired"),
        (Send, 100, 0, "Invalid parameter", "request-refused"),
        (Send, 10, 0, "", "permission-denied"),
        (Send, 200, 0, "", "permission-missing"),
        (Send, 294, 5, "", "permission-missing"),
        (Send, 299, 0, "", "permission-missing"),
        (Send, 3, 0, "", "capability-missing"),
        // not the token
        (Send, 1, 0, "An unknown error occurred", "meta-trouble"),
        (Any, 2, 0, "", "meta-trouble"),
        (Any, 4, 0, "", "rate-limit"),
        (Any, 9, 0, "", "rate-limit"),
        (Any, 17, 2_446_079, "", "rate-limit"),
        (Any, 32, 0, "", "rate-limit"),
        (Any, 341, 0, "", "rate-limit"),
        (Any, 613, 0, "", "rate-limit"),
        (Any, 80_000, 0, "", "rate-limit"),
        (Any, 80_014, 0, "", "rate-limit"),
        (Any, 368, 0, "", "policy-block"),
        // in no row
        (Any, 300, 0, "", "unexplained"),
        (Any, 80_015, 0, "", "unexplained"),
        (Any, -1, 463, "Session has expired", "unexplained"),
        (Any, i64::MAX, 0, "", "unexplained"),
    ]
};

/// What a command ends with and what becomes of the token, for the rows where it matters most.
const OUTCOMES: &[(&str, u8, &str)] = &[
    ("dialog-denied", 7, "unchanged"),
    ("dialog-no-answer", 7, "unchanged"),
    ("code-used", 3, "unchanged"),
    ("code-expired", 3, "unchanged"),
    ("redirect-mismatch", 5, "config"),
    ("redirect-not-absolute", 5, "config"),
    ("app-secret-wrong", 5, "config"),
    ("app-id-wrong", 5, "config"),
    ("inspected-foreign", 5, "unchanged"),
    ("inspector-not-allowed", 5, "unchanged"),
    ("inspector-wrong", 5, "unchanged"),
    ("extend-too-late", 3, "expired"),
    ("page-token-withheld", 4, "no_permission"),
    ("app-removed", 3, "revoked"),
    ("account-checkpoint", 3, "blocked"),
    ("password-changed", 3, "revoked"),
    ("token-expired", 3, "expired"),
    ("account-unconfirmed", 3, "blocked"),
    ("token-revoked-by-call", 3, "revoked"),
    ("token-revoked", 3, "revoked"),
    ("token-unused", 3, "expired"),
    ("page-role-lost", 3, "revoked"),
    ("app-inactive", 5, "blocked"),
    ("token-malformed", 3, "invalid"),
    ("token-refused", 3, "invalid"),
    ("app-not-installed", 3, "revoked"),
    ("session-refused", 3, "invalid"),
    ("signature-wrong", 5, "config"),
    ("proof-missing", 5, "config"),
    ("proof-wrong", 5, "config"),
    ("pixel-unreadable", 4, "no_access"),
    ("pixel-unsendable", 4, "no_access"),
    ("object-unknown", 4, "no_access"),
    ("pixel-read-denied", 4, "unchanged"),
    ("permission-denied", 4, "no_permission"),
    ("permission-missing", 4, "no_permission"),
    ("capability-missing", 4, "no_permission"),
    ("rate-limit", 6, "unchanged"),
    ("meta-trouble", 6, "unchanged"),
    ("policy-block", 4, "unchanged"),
    ("unreachable", 6, "unchanged"),
    ("bad-value", 2, "unchanged"),
];

#[test]
fn every_error_means_what_is_written_down() {
    for (context, code, subcode, message, slug) in CASES {
        let row = explain(*context, &error(*code, *subcode, message));
        assert_eq!(row.slug, *slug, "{context:?} {code}/{subcode} {message}");
    }
    for (slug, exit, state) in OUTCOMES {
        let row = by_slug(slug).unwrap_or_else(|| panic!("no {slug}"));
        assert_eq!(
            (row.exit.code(), row.state.as_str()),
            (*exit, *state),
            "{slug}"
        );
    }
}

#[test]
fn every_row_with_a_code_is_met_by_some_case() {
    let met: BTreeSet<&str> = CASES.iter().map(|case| case.4).collect();
    let coded = rows().filter(|row| !row.codes.is_empty());
    let missed: Vec<_> = coded
        .map(|row| row.slug)
        // met by redirects, see there
        .filter(|slug| !met.contains(slug) && *slug != "dialog-denied")
        .collect();
    assert!(missed.is_empty(), "{missed:?}");
}

#[test]
fn every_row_is_whole_and_has_a_name_of_its_own() {
    let mut slugs = BTreeSet::new();
    for row in rows() {
        assert!(slugs.insert(row.slug), "{} twice", row.slug);
        let texts = [row.title, row.says, row.next];
        assert!(texts.iter().all(|text| text.len() > 10), "{}", row.slug);
        assert!(!row.title.ends_with('.'), "{}", row.slug);
        for (at, _) in row.next.match_indices("capigate token ") {
            let verb = row.next[at + "capigate token ".len()..].split([' ', ',', '.', ';', ':']);
            let known = [
                "app",
                "login",
                "exchange",
                "extend",
                "page",
                "pages",
                "system-user",
                "add",
                "inspect",
                "list",
                "verify",
                "rotate",
                "revoke",
            ];
            let verb = verb.into_iter().next().unwrap();
            assert!(known.contains(&verb), "{}: {verb}", row.slug);
        }
    }
}

#[test]
fn what_is_transient_says_nothing_against_a_token() {
    for (code, subcode, slug) in [
        (190, 463, "meta-trouble"),
        (1, 0, "meta-trouble"),
        (4, 0, "rate-limit"),
        (300, 0, "meta-trouble"),
    ] {
        let mut error = error(code, subcode, "");
        error.transient = true;
        assert_eq!(explain(Context::Code, &error).slug, slug, "{code}");
    }
}

#[test]
fn the_class_and_the_status_decide_what_is_in_no_row() {
    for (status, class, slug) in [
        (400, Some("invalid_code"), "code-refused"),
        (400, Some("invalid_request"), "request-refused"),
        (500, Some("invalid_token"), "token-refused"),
        (400, Some("other"), "unexplained"),
        (429, None, "rate-limit"),
        (503, None, "meta-trouble"),
        (404, None, "unexplained"),
    ] {
        let mut error = error(300, 0, "");
        error.status = status;
        error.class = class.map(str::to_owned);
        assert_eq!(
            explain(Context::Any, &error).slug,
            slug,
            "{status} {class:?}"
        );
    }
}

#[test]
fn what_is_not_an_error_of_meta_has_its_row() {
    let missing = OauthError::Missing("data");
    for (error, context, slug) in [
        (
            OauthError::Unreachable(Unreachable::Connect),
            Context::Any,
            "unreachable",
        ),
        (
            OauthError::Unreachable(Unreachable::Tls),
            Context::Any,
            "tls",
        ),
        (
            OauthError::Unreachable(Unreachable::Timeout),
            Context::Any,
            "unreachable",
        ),
        (
            OauthError::Unreachable(Unreachable::Broken),
            Context::Any,
            "unreachable",
        ),
        (
            OauthError::UnknownOutcome,
            Context::Code,
            "code-answer-lost",
        ),
        (OauthError::UnknownOutcome, Context::Revoke, "answer-lost"),
        (
            OauthError::Unreadable { status: 502 },
            Context::Any,
            "unreadable",
        ),
        (missing, Context::Any, "unreadable"),
        (OauthError::OtherObject, Context::Page, "unreadable"),
        (OauthError::TooMuch, Context::Page, "unreadable"),
        (OauthError::NotDone, Context::Revoke, "not-done"),
        (
            OauthError::NoPageToken,
            Context::Page,
            "page-token-withheld",
        ),
        (
            OauthError::UnsendableToken,
            Context::Any,
            "token-unsendable",
        ),
        (
            OauthError::BadValue {
                name: "x",
                want: "y",
            },
            Context::Any,
            "bad-value",
        ),
    ] {
        assert_eq!(error.explain(context).slug, slug, "{error:?}");
    }
    for (error, slug) in [
        (RedirectError::NoCode, "dialog-no-code"),
        (RedirectError::TooLong, "dialog-no-code"),
        (RedirectError::NoState, "dialog-state"),
        (RedirectError::OtherState, "dialog-state"),
        (RedirectError::Twice, "dialog-state"),
    ] {
        assert_eq!(error.explain().slug, slug, "{error:?}");
    }
    // asked for by the commands
    assert!(by_slug("dialog-no-answer").is_some());
}

#[test]
fn a_code_finds_all_that_it_may_mean() {
    let slugs = |code, subcode| -> Vec<&str> {
        by_code(code, subcode).iter().map(|row| row.slug).collect()
    };
    assert_eq!(slugs(190, Some(463)), ["extend-too-late", "token-expired"]);
    assert_eq!(slugs(100, Some(36_009)), ["code-used"]);
    assert_eq!(slugs(190, Some(999)), ["inspector-wrong", "token-refused"]);
    assert_eq!(slugs(101, None), ["app-id-missing", "app-id-wrong"]);
    assert_eq!(
        slugs(1, None),
        ["code-missing", "app-secret-wrong", "meta-trouble"]
    );
    assert_eq!(
        slugs(200, None),
        [
            "dialog-denied",
            "dataset-quality-denied",
            "pixel-read-denied",
            "permission-missing"
        ]
    );
    assert!(slugs(190, None).len() > 15);
    assert!(slugs(300, None).is_empty());
}
