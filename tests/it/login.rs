//! Logging in, against a made-up Facebook, with a test in the place of the browser.

mod browser;
mod kept;

use std::net::TcpListener;

use capigate::sandbox::{Action, DialogMood, DialogOutcome, Edge, Fault, Headers};
use capigate::tokens::{Contents, Kind, Name, Slot};
use reqwest::StatusCode;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use serde_json::json;

use crate::desk::{APP, APP_SECRET, Running, Said, Site, world};
use crate::support::PIXEL;

const LISTED: &str = "https://gate.example/callback";

/// A machine with the app's secret, and a port for its login.
struct Desk {
    site: Site,
    port: String,
}

impl Desk {
    async fn new() -> Self {
        let site = Site::new(world()).await;
        site.add_app(APP, APP_SECRET);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port().to_string();
        Self { site, port }
    }

    fn login(&self, more: &[&str]) -> Running {
        let args = ["token", "login", "--no-browser", "--port", &self.port];
        self.site.start(&[&args[..], more].concat())
    }

    /// What the dialog does next.
    fn dialog(&self, outcome: DialogOutcome, decline: &[&str]) {
        self.site.sandbox.set_dialog(DialogMood {
            outcome,
            decline: decline.iter().map(|scope| (*scope).to_owned()).collect(),
            ..DialogMood::default()
        });
    }

    /// Refuses the next exchange.
    fn refuse(&self, code: i64, subcode: Option<i64>, message: &str) {
        self.site.sandbox.add_fault(Fault {
            edge: Some(Edge::Oauth),
            pixel: None,
            times: None,
            action: Action::Status {
                status: 400,
                code,
                subcode,
                is_transient: None,
                message: Some(message.to_owned()),
                headers: Headers::default(),
            },
        });
    }
}

fn browser() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([]);
    builder.redirect(Policy::none()).build().unwrap()
}

/// Goes through the dialog, and gives the address that it leads back to.
async fn visit(dialog: &str) -> String {
    let answer = browser().get(dialog).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND, "{dialog}");
    let back = answer.headers()[LOCATION].to_str().unwrap();
    back.to_owned()
}

/// The value of a parameter of an address.
fn parameter(address: &str, name: &str) -> String {
    let url = url::Url::parse(address).unwrap();
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap().1.into_owned()
}

/// What is in the vault.
fn names(contents: &Contents) -> Vec<&str> {
    contents.tokens.keys().map(Name::as_str).collect()
}

/// Logs in, and gives what was said, in which neither code nor state must be.
async fn log_in(running: Running) -> Said {
    let dialog = running.dialog();
    let back = visit(&dialog).await;
    let page = browser().get(&back).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    let said = running.end();
    let state = parameter(&dialog, "state");
    assert!(state.len() >= 22, "{state}");
    let rest = said.out.replace(&dialog, "");
    for (text, what) in [(&rest, "out"), (&said.err, "err"), (&page, "page")] {
        let err = text.replace(&dialog, "");
        assert!(!err.contains(&state), "the state is in {what}: {said:?}");
        if back.contains("code=AQ") {
            let code = parameter(&back, "code");
            assert!(
                !err.contains(&code[..12]),
                "the code is in {what}: {said:?}"
            );
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_ends_with_a_token_in_the_vault_that_the_pixel_sends_with() {
    let desk = Desk::new().await;
    let running = desk.login(&["--pixel", PIXEL, "--name", "shop"]);
    let dialog = running.dialog();
    assert_eq!(parameter(&dialog, "client_id"), APP);
    assert_eq!(parameter(&dialog, "scope"), "ads_management");
    assert_eq!(parameter(&dialog, "response_type"), "code");
    let uri = format!("http://localhost:{}/", desk.port);
    assert_eq!(parameter(&dialog, "redirect_uri"), uri);
    assert!(!dialog.contains("%25"), "{dialog}");
    let said = log_in(running).await;
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&[
        "Development mode",
        "logged in as Alex Example",
        "extended",
        "shop",
    ]);
    let contents = desk.site.contents();
    let (slot, name, record) = contents
        .candidates(PIXEL.parse().unwrap())
        .next()
        .map(|(slot, name, record)| (slot, name.to_string(), record.clone()))
        .unwrap();
    assert_eq!((slot, name.as_str()), (Slot::Current, "shop"));
    assert_eq!(record.facts.kind, Kind::User);
    assert_eq!(record.facts.app_id.as_deref(), Some(APP));
    desk.site.is_careful();

    // again: the new token takes the place, the old one can be gone back to
    let running = desk.login(&["--pixel", PIXEL, "--name", "shop-new"]);
    let said = log_in(running).await;
    assert_eq!(said.code, 0, "{said:?}");
    let contents = desk.site.contents();
    let slots = contents.candidates(PIXEL.parse().unwrap());
    let slots: Vec<_> = slots.map(|(slot, name, _)| (slot, name.as_str())).collect();
    assert_eq!(
        slots,
        [(Slot::Current, "shop-new"), (Slot::Retiring, "shop")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_of_login_for_business_takes_the_place_of_scopes() {
    let desk = Desk::new().await;
    let running = desk.login(&["--config-id", "1100000000000001", "--json"]);
    let dialog = running.dialog();
    assert!(!dialog.contains("scope="), "{dialog}");
    let said = log_in(running).await;
    assert_eq!(said.code, 0, "{said:?}");
    let json = said.json();
    assert_eq!(json["ok"], json!(true));
    assert_eq!(json["token"]["kind"], json!("system_user"));
    assert!(json["exchange_ms"].as_u64().unwrap() < 5_000, "{json}");
    desk.site.is_careful();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_of_an_exchange_is_explained() {
    let desk = Desk::new().await;
    let uri = format!("http://localhost:{}/", desk.port);
    let both = format!("the dialog was told {uri}, the exchange {uri}");
    let used = "This authorization code has been used.";
    let expired = "This authorization code has expired.";
    let differs = "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request";
    let both = both.as_str();
    let no: &[&str] = &[];
    for (code, subcode, message, exit, says, more) in [
        (100, Some(36_009), used, 3, "this code has been used", no),
        (100, None, used, 3, "this code has been used", no),
        (100, Some(36_007), expired, 3, "this code has expired", no),
        (100, None, expired, 3, "this code has expired", no),
        (
            100,
            Some(36_008),
            differs,
            5,
            "the redirect URIs differ",
            &[both],
        ),
        (100, None, differs, 5, "the redirect URIs differ", &[both]),
        (
            100,
            None,
            "Invalid verification code format.",
            3,
            "not a whole code",
            no,
        ),
        (
            191,
            None,
            "redirect_uri isn't an absolute URI. Check RFC 3986.",
            5,
            "is not absolute",
            &[both],
        ),
        (
            191,
            None,
            "Missing redirect_uri parameter.",
            5,
            "the redirect URI is missing",
            &[both],
        ),
        (
            191,
            None,
            "Invalid redirect_uri: Given URL is not allowed",
            5,
            "is not allowed",
            &[both],
        ),
        (
            1,
            None,
            "Error validating client secret.",
            5,
            "the app secret is wrong",
            no,
        ),
        (
            101,
            None,
            "Error validating application. Invalid application ID.",
            5,
            "there is no such app",
            no,
        ),
    ] {
        desk.refuse(code, subcode, message);
        let before = desk.site.calls(Edge::Oauth).len();
        let said = log_in(desk.login(&[])).await;
        assert_eq!(said.code, exit, "{code} {subcode:?}: {said:?}");
        said.says(&[says, "trace id", "→ "]);
        said.says(more);
        // never tried again
        assert_eq!(desk.site.calls(Edge::Oauth).len(), before + 1);
    }
    assert!(desk.site.contents().tokens.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_not_asked_for_again() {
    let desk = Desk::new().await;
    desk.site.sandbox.add_fault(Fault {
        edge: Some(Edge::Oauth),
        pixel: None,
        times: None,
        action: Action::CutAfterAccept {},
    });
    let said = log_in(desk.login(&[])).await;
    assert_eq!(said.code, 6, "{said:?}");
    said.says(&["the answer to the exchange was lost"]);
    assert_eq!(desk.site.calls(Edge::Oauth).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_dialog_refuses_is_said_in_words() {
    let desk = Desk::new().await;
    for (outcome, exit, says) in [
        (DialogOutcome::Deny, 7, "login declined"),
        (DialogOutcome::Error, 5, "something went wrong by script"),
    ] {
        desk.dialog(outcome, &[]);
        let said = log_in(desk.login(&[])).await;
        assert_eq!(said.code, exit, "{said:?}");
        said.says(&[says]);
    }
    assert!(desk.site.calls(Edge::Oauth).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_another_login_is_never_exchanged() {
    let desk = Desk::new().await;
    for spoil in ["&state=somebody-elses", ""] {
        let running = desk.login(&[]);
        let dialog = running.dialog();
        let back = visit(&dialog).await;
        let state = format!("&state={}", parameter(&dialog, "state"));
        let back = back.replace(&state, spoil);
        let page = browser().get(&back).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
        let said = running.end();
        assert_eq!(said.code, 7, "{said:?}");
        said.says(&["not the answer to this login"]);
    }
    assert!(desk.site.calls(Edge::Oauth).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_comes_the_causes_are_told() {
    let desk = Desk::new().await;
    let running = desk.login(&["--timeout", "1s"]);
    desk.dialog(DialogOutcome::Blocked, &[]);
    let page = browser().get(running.dialog()).send().await.unwrap();
    assert!(page.headers().get(LOCATION).is_none());
    let said = running.end();
    assert_eq!(said.code, 7, "{said:?}");
    said.says(&[
        "URL Blocked",
        "App not active",
        "Invalid App ID",
        "Development mode",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_the_browser_ended_on_can_be_pasted() {
    let desk = Desk::new().await;
    let args = ["token", "login", "--no-browser", "--redirect-uri", LISTED];
    let mut running = desk.site.start(&args);
    let dialog = running.dialog();
    let back = visit(&dialog).await;
    assert!(back.starts_with(LISTED) && back.ends_with("#_=_"), "{back}");
    running.type_in("what do you mean?\n");
    running.until("another try", |line| {
        line.contains("redirect_no_code").then_some(())
    });
    running.type_in(&format!("{back}\n"));
    let said = running.end();
    assert_eq!(said.code, 0, "{said:?}");
    said.says(&["has to be listed", "sealed into the vault"]);
    assert!(!said.out.contains(&parameter(&back, "code")), "{said:?}");

    // the code alone, as some copy it
    let mut running = desk.site.start(&args);
    let back = visit(&running.dialog()).await;
    running.type_in(&format!("{}\n", parameter(&back, "code")));
    let said = running.end();
    assert_eq!(said.code, 0, "{said:?}");

    // nothing is pasted, and no page is there to come back to
    let said = desk.site.run(&args, "");
    assert_eq!(said.code, 7, "{said:?}");
    desk.site.is_careful();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_permission_is_asked_for_again_when_wished() {
    let desk = Desk::new().await;
    desk.dialog(DialogOutcome::Allow, &["ads_management"]);
    let words = ["--pixel", PIXEL, "--name", "shop"];
    let said = log_in(desk.login(&words)).await;
    assert_eq!(said.code, 4, "{said:?}");
    said.says(&["ads_management", "--rerequest", "token revoke shop"]);
    let contents = desk.site.contents();
    assert_eq!(names(&contents), ["shop"], "its code is spent");
    assert!(contents.pixels.is_empty());
    desk.dialog(DialogOutcome::Allow, &[]);
    let running = desk.login(&["--rerequest"]);
    assert_eq!(parameter(&running.dialog(), "auth_type"), "rerequest");
    let said = log_in(running).await;
    assert_eq!(said.code, 0, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_told_before_is_told_before() {
    let desk = Desk::new().await;
    let held = TcpListener::bind(("127.0.0.1", desk.port.parse().unwrap())).unwrap();
    let said = desk.login(&[]).end();
    assert_eq!(said.code, 64, "{said:?}");
    said.says(&["port_busy", &desk.port, "--port"]);
    assert!(!said.out.contains("/dialog/oauth"), "{said:?}");
    drop(held);
    for (args, says) in [
        (
            &["--redirect-uri", "localhost:8080/"][..],
            "redirect_uri_relative",
        ),
        (
            &["--redirect-uri", "https%3A%2F%2Fgate.example%2F"],
            "redirect_uri_encoded",
        ),
        (
            &["--redirect-uri", "https://gate.example/#x"],
            "redirect_uri_fragment",
        ),
        (&["--app-id", "999"], "capigate token app add --app-id 999"),
        (&["--scope", "Ads Management"], "ads_management"),
        (&["--timeout", "1h"], "10m"),
        (&["--scope", "a", "--config-id", "1"], "--config-id"),
    ] {
        let args = [&["token", "login", "--no-browser"][..], args].concat();
        let said = desk.site.run(&args, "");
        assert_eq!(said.code, 64, "{args:?}: {said:?}");
        said.says(&[says]);
    }
    let bare = Site::new(world()).await;
    let said = bare.run(&["token", "login", "--no-browser"], "");
    assert_eq!(said.code, 64, "{said:?}");
    said.says(&["capigate token app add"]);
    assert!(desk.site.sandbox.account_calls().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_alone_needs_no_secret_and_no_port() {
    let bare = Site::new(world()).await;
    let args = ["token", "login", "--url-only", "--app-id", APP];
    let more = ["--scope", "ads_read,read_insights"];
    let said = bare.run(&[&args[..], &more].concat(), "");
    assert_eq!(said.code, 0, "{said:?}");
    let url = said.out.trim();
    let state = parameter(url, "state");
    assert_eq!(
        url.replace(&state, "STATE"),
        format!(
            "{}/v26.0/dialog/oauth?client_id={APP}&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2F&state=STATE&response_type=code&scope=ads_read%2Cread_insights",
            bare.sandbox.url()
        )
    );
    let again = bare.run(&args, "");
    assert_ne!(parameter(again.out.trim(), "state"), state);
}
