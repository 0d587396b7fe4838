//! Pixels and their tokens by hand: held and released, and another token pasted into the console.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use capigate::app::admin::DOCUMENT;
use capigate::config::SecretRef;
use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken};
use capigate::secret::Secret;
use capigate::time::Clock;
use capigate::tokens::{Contents, Slot, Vault, VaultError};
use serde_json::{Value, json};

use crate::admin::{described, hold};
use crate::console::{ADMIN, Browser, VIEW, keyed};
use crate::console_desk::{done, is_guarded, says};
use crate::harness::{FOREIGN, Gateway, OTHER, PIXEL, purchase, purchases};
use crate::support::{Site, all_bytes, sum};

async fn api(gateway: &Gateway, method: &str, path: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}{path}", gateway.running().admin_addr());
    let method = method.parse().unwrap();
    let request = gateway.http.request(method, url).bearer_auth(ADMIN);
    let response = request.json(&body).send().await.unwrap();
    let status = response.status().as_u16();
    (status, response.json().await.unwrap())
}

/// Waits until so many events of the pixel wait in lanes that a person holds.
async fn waiting(gateway: &Gateway, events: u64) {
    gateway
        .until("events that wait for a person", async |gateway| {
            let lanes = gateway.running().lanes().snapshot();
            let held = lanes.iter().filter(|lane| lane.state == "held_by_hand");
            let held = held.filter(|lane| lane.pixel.to_string() == PIXEL);
            let all: u64 = held.map(|lane| lane.waiting).sum();
            (all == events).then_some(())
        })
        .await;
}

/// Waits until the metric says that so many pixels are held: it follows a moment later.
async fn shown_as_held(gateway: &Gateway, pixels: u64) {
    gateway
        .until("the metric of held pixels", async |gateway| {
            let held = gateway.metric("capigate_held_by_hand").await;
            (held == pixels).then_some(())
        })
        .await;
}

fn sent(gateway: &Gateway, pixel: &str) -> usize {
    let events = gateway.sandbox.ledger().events;
    let own = events
        .iter()
        .filter(|event| event.pixel.to_string() == pixel);
    own.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pixel_that_a_person_holds_waits_over_a_restart_until_it_is_released() {
    let mut gateway = Gateway::with(keyed).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let fields = [("pixel", PIXEL), ("reason", "the shop <moves>")];
    is_guarded(&gateway, "/console/pixels/hold", &fields).await;
    let said = done(&admin, admin.post("/console/pixels/hold", &fields).await).await;
    assert!(
        said.starts_with(&format!("Pixel {PIXEL} is held")),
        "{said}"
    );

    assert_eq!(gateway.post(purchases("held", 5)).await.status, 200);
    let body = json!({"data": [purchase("free")]});
    assert_eq!(gateway.post_body(OTHER, &body).await.status, 200);
    gateway.delivered(1).await;
    waiting(&gateway, 5).await;
    assert_eq!((sent(&gateway, PIXEL), sent(&gateway, OTHER)), (0, 1));

    // it is told, and is nobody's fault
    let seen = viewer.get("/console/pixels").await;
    let who = [
        "held_by_hand",
        "By admin.keys[0]",
        "the shop &#60;moves&#62;",
        "the oldest has 6 d",
    ];
    says(&seen, &who);
    assert!(!seen.text.contains("<button>Release"), "for admins");
    let seen = viewer.get("/console").await;
    says(
        &seen,
        &[
            "Nothing needs you: of 3, 1 pixel is held by hand.",
            "held by hand, by admin.keys[0]",
        ],
    );
    assert_eq!(gateway.readyz().await.1["held"], json!([]));
    shown_as_held(&gateway, 1).await;
    let (_, holds) = api(&gateway, "GET", "/holds", json!({})).await;
    let hold = &holds["holds"][0];
    assert_eq!(hold["id"], format!("by_hand:{PIXEL}"));
    assert_eq!(
        (&hold["cause"], &hold["waiting"]),
        (&json!("by_hand"), &json!(5))
    );
    let (_, event) = api(&gateway, "GET", "/events/held-0", json!({})).await;
    assert_eq!(event["events"][0]["state"], "held", "{event}");
    assert_eq!(event["events"][0]["reason"], "by_hand", "{event}");

    // held from the first moment of the next life, too
    gateway.down().await;
    gateway.up().await;
    waiting(&gateway, 5).await;
    assert_eq!(gateway.post(purchases("more", 2)).await.status, 200);
    waiting(&gateway, 7).await;
    assert_eq!(sent(&gateway, PIXEL), 0);

    let path = format!("/holds/by_hand:{PIXEL}/release");
    assert_eq!(api(&gateway, "POST", &path, json!({})).await.0, 200);
    gateway.delivered(8).await;
    assert_eq!(sent(&gateway, PIXEL), 7);
    assert_eq!(api(&gateway, "POST", &path, json!({})).await.0, 404);
    shown_as_held(&gateway, 0).await;
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_with_an_end_ends_by_itself() {
    let gateway = Gateway::with(keyed).await;
    let body = json!({"pixel": PIXEL, "for": "1s"});
    let (status, held) = api(&gateway, "POST", "/holds", body).await;
    assert_eq!(status, 200, "{held}");
    assert!(held["until"].as_i64() > held["at"].as_i64(), "{held}");
    gateway.post(vec![purchase("patient")]).await;
    gateway.delivered(1).await;
    let (_, holds) = api(&gateway, "GET", "/holds", json!({})).await;
    assert_eq!(holds["holds"], json!([]));
    for bad in [
        json!({"pixel": PIXEL, "for": "31d"}),
        json!({"pixel": PIXEL, "for": "0s"}),
        json!({"pixel": PIXEL, "reason": "x".repeat(201)}),
        json!({"pixel": PIXEL, "reason": "\u{1b}[31m"}),
        json!({"pixel": PIXEL, "why": "x"}),
        json!({}),
    ] {
        let (status, said) = api(&gateway, "POST", "/holds", bad).await;
        assert_eq!(status, 400, "{said}");
    }
    gateway.finish().await;
}

/// A token of the shape that Meta's have.
const CANARY: &str = "EAAcanaryTOKENcanaryTOKENcanaryTOKENcanaryTOKENcanaryTOKEN1";
const FOREIGN_TOKEN: &str = "EAAforeignTOKENforeignTOKENforeignTOKENforeignTOKENforeign1";
const BAD: &str = "EAAnobodyKNOWSnobodyKNOWSnobodyKNOWSnobodyKNOWSnobodyKNOWS1";

/// A gateway with a vault, in which no pixel has a token yet.
async fn with_vault(dir: &tempfile::TempDir) -> Gateway {
    let key = dir.path().join("vault.key");
    std::fs::write(&key, "01".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let gateway = Gateway::with(|config| {
        keyed(config);
        config
            .pixels
            .get_mut(&PIXEL.parse().unwrap())
            .unwrap()
            .token = None;
        config.tokens.vault = dir.path().join("tokens.vault");
        config.tokens.vault_key = Some(SecretRef::File(key));
    })
    .await;
    let mint = |token: SandboxToken| gateway.sandbox.mint_token(token).unwrap();
    mint(SandboxToken::new("canary", CANARY));
    mint(SandboxToken {
        pixels: vec![OTHER.parse().unwrap()],
        ..SandboxToken::new("foreign", FOREIGN_TOKEN)
    });
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_pasted_checked_and_put_in_place() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = with_vault(&dir).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let mut answers = Vec::new();
    assert_eq!(gateway.post(vec![purchase("waits")]).await.status, 200);

    let form = format!("/console/pixels/rotate?pixel={PIXEL}");
    let seen = admin.get(&form).await;
    says(
        &seen,
        &[
            "type=\"password\"",
            "autocomplete=\"off\"",
            "has no token yet",
        ],
    );
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    assert!(!viewer.get(&form).await.text.contains("type=\"password\""));

    let check = "/console/pixels/rotate/check";
    is_guarded(&gateway, check, &[("pixel", PIXEL), ("token", CANARY)]).await;
    let seen = admin.post(check, &[("pixel", PIXEL), ("token", BAD)]).await;
    says(&seen, &["✗ bad", "It was not kept", "token add"]);
    assert!(!seen.text.contains("name=\"ticket\""), "{}", seen.text);
    answers.push(seen.text);
    // of another pixel: it says so, and a person decides
    let fields = [("pixel", PIXEL), ("token", FOREIGN_TOKEN)];
    let seen = admin.post(check, &fields).await;
    says(&seen, &["! look at it"]);
    answers.push(seen.text);

    let seen = admin
        .post(check, &[("pixel", PIXEL), ("token", CANARY)])
        .await;
    says(
        &seen,
        &[
            "✓ good",
            "Send with it from now on",
            "nothing is changed yet",
        ],
    );
    let ticket = ticket(&seen.text);
    answers.push(seen.text);
    let put = "/console/pixels/rotate";
    is_guarded(&gateway, put, &[("ticket", &ticket)]).await;
    assert!(gateway.sandbox.ledger().events.is_empty());
    let seen = admin.post(put, &[("ticket", &ticket)]).await;
    let said = done(&admin, seen).await;
    assert!(
        said.contains("sends with pixel-1234567890123456 now"),
        "{said}"
    );
    // at once, and once
    gateway.delivered(1).await;
    assert_eq!(admin.post(put, &[("ticket", &ticket)]).await.status, 404);

    let vault = std::fs::read(dir.path().join("tokens.vault")).unwrap();
    for secret in [CANARY, BAD, FOREIGN_TOKEN] {
        let bytes = secret.as_bytes();
        assert!(!vault.windows(bytes.len()).any(|part| part == bytes));
    }
    for path in [
        "/console/pixels",
        "/console",
        "/console/system",
        form.as_str(),
    ] {
        answers.push(admin.get(path).await.text);
    }
    for answer in &answers {
        for secret in [CANARY, BAD, FOREIGN_TOKEN] {
            assert!(!answer.contains(&secret[3..]), "{answer}");
        }
    }
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_rotated_by_the_api() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = with_vault(&dir).await;
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let schema = described(&document, "POST", "/tokens/rotate", 200);
    let rotate = async |token: &str, dry_run: bool| {
        let body = json!({"pixel": PIXEL, "token": token, "dry_run": dry_run});
        let (status, said) = api(&gateway, "POST", "/tokens/rotate", body).await;
        if status == 200 {
            hold(&said, schema, &document, "/tokens/rotate");
        }
        assert!(!said.to_string().contains(&token[3..]), "{said}");
        (status, said)
    };
    let (status, said) = rotate(CANARY, true).await;
    assert_eq!((status, &said["rotated"]), (200, &json!(false)), "{said}");
    let (status, said) = rotate(BAD, true).await;
    assert_eq!((status, &said["verdict"]), (200, &json!("fail")), "{said}");
    let (status, said) = rotate(BAD, false).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (409, &json!("unfit_token"))
    );
    assert!(said["error"]["details"][0].is_string(), "{said}");

    let (status, said) = rotate(CANARY, false).await;
    assert_eq!((status, &said["rotated"]), (200, &json!(true)), "{said}");
    assert_eq!(said["retiring"], Value::Null);
    let (status, said) = rotate(CANARY, false).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (409, &json!("same_token"))
    );
    gateway.post(vec![purchase("first")]).await;
    gateway.delivered(1).await;

    let second = format!("{CANARY}2");
    let token = SandboxToken::new("second canary", &*second);
    gateway.sandbox.mint_token(token).unwrap();
    let (status, said) = rotate(&second, false).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["name"], format!("pixel-{PIXEL}-2"));
    assert_eq!(said["retiring"], format!("pixel-{PIXEL}"));
    gateway.post(vec![purchase("second")]).await;
    gateway.delivered(2).await;
    let ledger = serde_json::to_string(&gateway.sandbox.ledger()).unwrap();
    assert!(ledger.contains("second canary"), "{ledger}");
    gateway.finish().await;
}

/// The ticket of a page on which somebody is asked.
fn ticket(page: &str) -> String {
    let ticket = page.split("name=\"ticket\" value=\"").nth(1).unwrap();
    ticket.split('"').next().unwrap().to_owned()
}

/// A gateway whose pixel sends with one token and has another one next.
async fn with_next(dir: &tempfile::TempDir) -> (Gateway, String) {
    let gateway = with_vault(dir).await;
    let body = json!({"pixel": PIXEL, "token": CANARY});
    assert_eq!(api(&gateway, "POST", "/tokens/rotate", body).await.0, 200);
    let second = format!("{CANARY}2");
    let token = SandboxToken::new("second canary", &*second);
    gateway.sandbox.mint_token(token).unwrap();
    let body = json!({"pixel": PIXEL, "token": second});
    assert_eq!(api(&gateway, "POST", "/tokens/rotate", body).await.0, 200);
    // as `capigate token rotate --undo` does
    let key = Secret::new("01".repeat(32));
    let vault = Vault::new(dir.path().join("tokens.vault"), &key).unwrap();
    let (pixel, now) = (PIXEL.parse().unwrap(), Clock::Real.now());
    let next = format!("pixel-{PIXEL}-2").parse().unwrap();
    let undo = |contents: &mut Contents| -> Result<(), VaultError> {
        contents.roll_back(pixel)?;
        Ok(contents.bind(pixel, Slot::Next, &next, now)?)
    };
    vault.update(undo).unwrap();
    (gateway, next.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_next_is_put_in_place_or_out_of_it_when_a_person_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (gateway, next) = with_next(&dir).await;
    let third = format!("{CANARY}3");
    let token = SandboxToken::new("third canary", &*third);
    gateway.sandbox.mint_token(token).unwrap();
    let rotate = async |body: Value| api(&gateway, "POST", "/tokens/rotate", body).await;

    // what is pasted is looked at first
    let (status, said) = rotate(json!({"pixel": PIXEL, "token": "two words"})).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (400, &json!("bad_request"))
    );
    let (status, said) = rotate(json!({"pixel": PIXEL, "token": BAD})).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (409, &json!("unfit_token"))
    );
    let asked = json!({"pixel": PIXEL, "token": third, "dry_run": true});
    assert_eq!(rotate(asked).await.1["puts_out"], next);
    let (status, said) = rotate(json!({"pixel": PIXEL, "token": third})).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (409, &json!("next_taken"))
    );
    let what = said["error"]["next"].as_str().unwrap();
    for way in [
        "\"from_next\": true",
        "\"replace_next\": true",
        &format!("`capigate token remove {next}`"),
    ] {
        assert!(what.contains(way), "{said}");
    }
    let both = json!({"pixel": PIXEL, "token": third, "from_next": true});
    assert_eq!(rotate(both).await.0, 400);

    // the page asks for a tick, and an answer without it changes nothing
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let check = "/console/pixels/rotate/check";
    let put = "/console/pixels/rotate";
    let fields = [("pixel", PIXEL), ("token", &*third)];
    let seen = admin.post(check, &fields).await;
    says(
        &seen,
        &["name=\"replace_next\"", &next, "stays in the vault"],
    );
    let ticket_of_it = ticket(&seen.text);
    let seen = admin.post(put, &[("ticket", &ticket_of_it)]).await;
    assert_eq!(seen.status, 409, "{seen:?}");
    // nor may another session of the same key
    let yes = [("ticket", &*ticket_of_it), ("replace_next", "true")];
    let other = Browser::signed_in(&gateway, ADMIN).await;
    assert_eq!(other.post(put, &yes).await.status, 404);
    let said = done(&admin, admin.post(put, &yes).await).await;
    assert!(
        said.contains(&format!("capigate token revoke {next}")),
        "{said}"
    );
    let answer = gateway.post(vec![purchase("third")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.delivered(1).await;
    let ledger = serde_json::to_string(&gateway.sandbox.ledger()).unwrap();
    assert!(ledger.contains("third canary"), "{ledger}");
    let (status, said) = rotate(json!({"pixel": PIXEL, "from_next": true})).await;
    assert_eq!(status, 409, "nothing is next now: {said}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_token_is_put_in_place_on_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let (gateway, next) = with_next(&dir).await;
    gateway.write_config();
    api(&gateway, "POST", "/config/reload", json!({})).await;
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let form = format!("/console/pixels/rotate?pixel={PIXEL}");
    let command = format!("capigate token rotate --pixel {PIXEL} --from-next");
    let seen = admin.get(&form).await;
    says(&seen, &[&format!("Ask Meta about {next}"), &command]);
    let fields = [("pixel", PIXEL), ("from_next", "true")];
    let seen = admin.post("/console/pixels/rotate/check", &fields).await;
    says(&seen, &["✓ good", "nothing is changed yet"]);
    assert!(!seen.text.contains("replace_next"), "{}", seen.text);
    let ticket = ticket(&seen.text);
    let seen = admin
        .post("/console/pixels/rotate", &[("ticket", &ticket)])
        .await;
    let said = done(&admin, seen).await;
    assert!(said.contains(&format!("sends with {next} now")), "{said}");
    let answer = gateway.post(vec![purchase("next")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    gateway.delivered(1).await;
    let ledger = serde_json::to_string(&gateway.sandbox.ledger()).unwrap();
    assert!(ledger.contains("second canary"), "{ledger}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_a_scope_to_send_is_taken_when_a_person_insists_alone() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = with_vault(&dir).await;
    let mint = |value: &str, scope: &str| {
        let token = SandboxToken {
            scopes: vec![scope.to_owned()],
            ..SandboxToken::new(scope, value)
        };
        gateway.sandbox.mint_token(token).unwrap();
    };
    let (reads, dataset) = (format!("{CANARY}4"), format!("{CANARY}5"));
    mint(&reads, "read_insights");
    mint(&dataset, "read_ads_dataset_quality");
    let body = json!({"pixel": PIXEL, "token": reads});
    let (status, said) = api(&gateway, "POST", "/tokens/rotate", body).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (409, &json!("unfit_token"))
    );
    let error = said["error"].to_string();
    assert!(
        error.contains("needed_scope") && !error.contains("--force"),
        "{error}"
    );
    let next = said["error"]["next"].as_str().unwrap();
    assert!(next.contains("send \"force\": true"), "{next}");

    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let check = "/console/pixels/rotate/check";
    let fields = [("pixel", PIXEL), ("token", &*reads)];
    let seen = admin.post(check, &fields).await;
    says(&seen, &["name=\"force\"", "<code>needed_scope</code>"]);
    assert!(!seen.text.contains("--force"), "{}", seen.text);
    let ticket = ticket(&seen.text);
    let put = "/console/pixels/rotate";
    let seen = admin.post(put, &[("ticket", &ticket)]).await;
    assert_eq!(seen.status, 409, "{seen:?}");
    let seen = admin
        .post(put, &[("ticket", &ticket), ("force", "true")])
        .await;
    done(&admin, seen).await;

    // what a dataset token may send is not in its scopes
    let body = json!({"pixel": PIXEL, "token": dataset, "dry_run": true});
    let (_, said) = api(&gateway, "POST", "/tokens/rotate", body).await;
    assert_eq!(said["verdict"], "warn", "{said}");
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_not_replaced_unasked() {
    let gateway = Gateway::with(keyed).await;
    let first = json!({"pixel": PIXEL, "reason": "the first"});
    assert_eq!(api(&gateway, "POST", "/holds", first).await.0, 200);
    let second = json!({"pixel": PIXEL, "for": "2h", "reason": "the second"});
    let (status, said) = api(&gateway, "POST", "/holds", second).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (409, &json!("already_held"))
    );
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("by admin.keys[0]"), "{message}");
    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let hold = "/console/pixels/hold";
    let fields = [("pixel", PIXEL), ("reason", "the second")];
    let seen = admin.post(hold, &fields).await;
    assert_eq!(seen.status, 409, "{seen:?}");
    assert!(seen.text.contains("tick there"), "{}", seen.text);
    says(&admin.get("/console/pixels").await, &["the first"]);
    // another pixel's page says of which ones there are
    let seen = admin.get(&format!("/console/pixels?pixel={OTHER}")).await;
    says(
        &seen,
        &["Nothing of this pixel is held", "1 hold of other pixels"],
    );
    let fields = [&fields[..], &[("replace", "true")]].concat();
    done(&admin, admin.post(hold, &fields).await).await;
    let seen = admin.get("/console/pixels").await;
    says(&seen, &["the second", "name=\"replace\""]);
    let body = json!({"pixel": PIXEL, "reason": "the third", "replace": true});
    let (status, said) = api(&gateway, "POST", "/holds", body).await;
    assert_eq!((status, &said["reason"]), (200, &json!("the third")));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_tells_what_was_and_what_is_and_no_secret() {
    let mut gateway = Gateway::with(keyed).await;
    let pixel = gateway
        .config
        .pixels
        .get_mut(&PIXEL.parse().unwrap())
        .unwrap();
    pixel.token = Some(SecretRef::Env("SECOND_TOKEN".to_owned()));
    pixel.name = Some("Shop, web".to_owned());
    gateway.config.lanes.linger = "30ms".parse().unwrap();
    gateway.write_config();
    let (status, said) = api(&gateway, "POST", "/config/reload", json!({})).await;
    assert_eq!(status, 200, "{said}");
    let token = format!("pixels.{PIXEL}.token");
    let name = format!("pixels.{PIXEL}.name");
    assert_eq!(said["changed"], json!(["lanes.linger", name, token]));
    let expected = json!([
        {"key": "lanes.linger", "what": "changed", "old": "\"20ms\"", "new": "\"30ms\""},
        {"key": name, "what": "added", "old": null, "new": "\"Shop, web\""},
        {"key": token, "what": "changed", "old": null, "new": null},
    ]);
    assert_eq!(said["differences"], expected);
    // a look that finds nothing does not hide it
    let (_, again) = api(&gateway, "POST", "/config/reload", json!({})).await;
    assert_eq!(again["result"], "unchanged");
    let (_, system) = api(&gateway, "GET", "/system", json!({})).await;
    assert_eq!(system["last_reload"]["result"], "unchanged");
    assert_eq!(system["last_change"]["differences"], expected);
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let seen = viewer.get("/console/system").await;
    says(&seen, &["lanes.linger", "20ms", "30ms", "not shown"]);
    assert!(!seen.text.contains("SECOND_TOKEN"), "{}", seen.text);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_counts_what_the_console_has_changed_and_has_no_token() {
    let settings = SandboxSettings {
        listen: "127.0.0.1:0".parse().unwrap(),
        tokens: vec![SandboxToken::new("canary", CANARY)],
        ..SandboxSettings::default()
    };
    let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
    let mut site = Site::new(sandbox.url());
    CANARY.clone_into(&mut site.token);
    let key = site.dir.path().join("vault.key");
    std::fs::write(&key, "01".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.extra = format!(
        "[admin]\nkeys = [{{ env = \"TEST_ADMIN\" }}]\n[tokens]\nvault_key = {{ file = \"{}\" }}\nvault = \"{}\"\nallow_shared = true\n[pixels.{FOREIGN}]\n",
        key.display(),
        site.dir.path().join("tokens.vault").display(),
    );
    site.vars = vec![("TEST_ADMIN".to_owned(), ADMIN.to_owned())];
    let mut process = site.start(None, "trace").unwrap();
    let mut browser = Browser::at(&process.admin);
    browser.sign_in(ADMIN).await;

    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for id in ["bad-1", "bad-2"] {
        sandbox.add_fault(Fault::refuse_event(id, Some(2_804_009)).forever());
    }
    let body = json!({"data": [purchase("bad-1"), purchase("bad-2")]});
    let post = http
        .post(process.events_url())
        .bearer_auth("the-ingest-key");
    assert_eq!(post.json(&body).send().await.unwrap().status(), 200);
    for _ in 0..1000 {
        let page = http.get(format!("{}/metrics", process.admin));
        let page = page.send().await.unwrap().text().await.unwrap();
        if sum(&page, "capigate_dead_letters") == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seen = browser
        .post("/console/dead/purge", &[("all", "true")])
        .await;
    assert_eq!(seen.status, 303, "{seen:?}");

    let fields = [("pixel", FOREIGN), ("token", CANARY)];
    let seen = browser.post("/console/pixels/rotate/check", &fields).await;
    says(&seen, &["Send with it from now on"]);
    let ticket = ticket(&seen.text);
    let seen = browser
        .post("/console/pixels/rotate", &[("ticket", &*ticket)])
        .await;
    assert_eq!(seen.status, 303, "{seen:?}");
    assert_eq!(process.terminate(), 0);
    let log = process.whole_log();
    let foreign = format!("pixel={FOREIGN}");
    for (route, changed, subject) in [
        ("/console/dead/purge", 2, "all=true"),
        ("/console/pixels/rotate/check", 0, &foreign),
        ("/console/pixels/rotate", 1, &foreign),
    ] {
        let route = format!("\"admin.route\":\"{route}\"");
        let line = log.lines().find(|line| line.contains(&route)).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        let found = line.pointer("/fields/admin.changed");
        let found = found.or_else(|| line.get("admin.changed"));
        assert_eq!(found, Some(&json!(changed)), "{line}");
        let found = line.pointer("/fields/admin.subject");
        let found = found.or_else(|| line.get("admin.subject"));
        assert_eq!(found, Some(&json!(subject)), "{line}");
    }
    assert!(!log.contains(&CANARY[3..]), "a token is in the log");
    for (path, bytes) in all_bytes(site.dir.path()) {
        let has = bytes
            .windows(CANARY.len())
            .any(|part| part == CANARY.as_bytes());
        assert!(!has, "a token is in {}", path.display());
    }
}
