//! Canary tokens, app secrets, codes and states go through every command about tokens, through a
//! gateway that logs everything, and through its alerts, in success and in each failure that the
//! made-up Facebook can be told to answer with; afterwards they are nowhere, whole or in part.

mod canaries;
mod hook;
mod scene;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use capigate::sandbox::{
    Action, DialogMood, DialogOutcome, Edge, Fault, STATES, SandboxToken, TokenChange, TokenKind,
    TokenState,
};
use serde_json::json;

use crate::desk::Running;
use crate::harness::purchase;
use crate::support::{OTHER, PIXEL, signal};
use canaries::{proof, secret};
use scene::{APP, BUSINESS, OTHER_APP, PAGE, Scene, USER, WITHHELD};

/// The tokens that are there from the start.
struct Tokens {
    /// Of the Events Manager; not all of it stands plainly in an address.
    dataset: String,
    /// Of the system user, with which it is asked and sent.
    admin: String,
    /// The same, to come after it.
    next: String,
    /// Of a person, for an hour.
    person: String,
    /// The same, to be extended.
    short: String,
    /// Of the system user, for 60 days.
    sixty: String,
    /// Nobody knows it.
    stranger: String,
}

impl Tokens {
    fn new(scene: &Scene) -> Self {
        let value = |seed| secret("EAA", seed, 180);
        let dataset = format!("{}+/~=.{}", value(31), secret("", 32, 40));
        let mint = |name: &str, value: String, kind, holder: Option<&str>, hours: Option<u64>| {
            scene.token(&format!("the token {name}"), &value);
            let token = SandboxToken {
                name: name.to_owned(),
                value: value.clone(),
                kind,
                app: holder.map(|_| APP.to_owned()),
                holder: holder.map(str::to_owned),
                scopes: ["ads_management", "business_management", "pages_show_list"]
                    .map(str::to_owned)
                    .to_vec(),
                expires_in: hours.map(Duration::from_hours),
                ..SandboxToken::default()
            };
            scene.site.sandbox.mint_token(token).unwrap();
            value
        };
        let (system, user) = (TokenKind::SystemUser, TokenKind::User);
        let person = Some("3000000000000001");
        let stranger = value(37);
        scene.token("the token of a stranger", &stranger);
        Self {
            dataset: mint("dataset", dataset, system, None, None),
            admin: mint("admin", value(33), system, Some(USER), None),
            next: mint("next", value(34), system, Some(USER), None),
            person: mint("person", value(35), user, person, Some(1)),
            short: mint("short", value(38), user, person, Some(1)),
            sixty: mint("sixty", value(36), system, Some(USER), Some(24 * 60)),
            stranger,
        }
    }
}

/// Every way to fail with words of the server's, or without.
fn failures(message: &str) -> Vec<Action> {
    let status = |status, code, subcode| Action::Status {
        status,
        code,
        subcode,
        is_transient: None,
        message: Some(message.to_owned()),
        headers: BTreeMap::from([("www-authenticate".to_owned(), message.replace('{', "("))]),
    };
    vec![
        status(400, 190, None),
        status(400, 190, Some(463)),
        status(400, 100, Some(33)),
        status(500, 1, None),
        status(200, 190, None),
        Action::BadToken { subcode: Some(467) },
        Action::HtmlAfterAccept { status: 502 },
        Action::WrongJson { accept: false },
        Action::Cut {},
        Action::CutAfterAccept {},
    ]
}

struct Gateway {
    running: Running,
    ingest: String,
    admin: String,
}

impl Gateway {
    fn start(scene: &Scene) -> Self {
        let running = scene.site.start(&["serve"]);
        let addresses = running.until("the gateway", |line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let of = |name: &str| Some(format!("http://{}", line[name].as_str()?));
            Some((of("listen.ingest")?, of("listen.admin")?))
        });
        scene.look_at(&["serve"], running.id());
        Self {
            running,
            ingest: addresses.0,
            admin: addresses.1,
        }
    }

    /// Posts an event, and looks at every page while it is on its way and when it may be there.
    async fn sends(&self, scene: &Scene, id: &str) {
        let url = format!("{}/v26.0/{PIXEL}/events", self.ingest);
        let request = scene.http.post(url).bearer_auth(scene.site.var("SHOP_KEY"));
        let body = json!({ "data": [purchase(id)] });
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        scene.hear("the answer to an event", answer.text().await.unwrap());
        for _ in 0..2 {
            self.pages(scene).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn pages(&self, scene: &Scene) {
        let key = scene.site.var("CAPIGATE_ADMIN_KEY");
        for page in [
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/tokens",
            "/holds",
            "/lanes",
            "/limits",
            "/config",
            "/dead",
            "/dead/summary",
            "/openapi.json",
        ] {
            let request = scene.http.get(format!("{}{page}", self.admin));
            let answer = request.bearer_auth(&key).send().await.unwrap();
            let is_there = answer.status().is_success() || page == "/readyz";
            assert!(is_there, "{page}: {}", answer.status());
            scene.hear(page, answer.text().await.unwrap());
        }
    }

    fn stop(self, scene: &Scene) {
        signal(self.running.id(), "TERM");
        let said = self.running.end();
        assert_eq!(said.code, 0);
        let log = format!("{}{}", said.out, said.err);
        assert!(
            log.contains("\"DEBUG\"") && log.lines().count() > 50,
            "the log does not say much"
        );
        scene.hear("the log of the gateway", log);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_of_tokens_are_found_nowhere() {
    let scene = Scene::new().await;
    let tokens = Tokens::new(&scene);
    keys_and_apps(&scene);
    let gateway = Gateway::start(&scene);
    pastes(&scene, &tokens);
    alerts(&scene);
    states(&scene, &gateway, &tokens).await;
    each_edge_fails(&scene, &tokens).await;
    logins(&scene).await;
    ends(&scene, &gateway, &tokens).await;
    gateway.stop(&scene);
    broken_vaults(&scene, &tokens);
    every_verb_was_run(&scene);
    assert_eq!(scene.site.sandbox.violations(), []);
    scene.search(&[&tokens.admin, &tokens.next]).await;
}

fn keys_and_apps(scene: &Scene) {
    let key = scene
        .site
        .dir
        .path()
        .join("second.key")
        .display()
        .to_string();
    let init = ["token", "init", "--key-file", &key];
    assert_eq!(scene.run_bare(&init, ""), 0);
    assert_eq!(scene.run_bare(&init, ""), 64);
    let key = std::fs::read_to_string(key).unwrap();
    scene.canary("the second key of a vault", key.trim());
    for args in [
        &["token", "guide"][..],
        &["token", "guide", "troubleshooting"],
        &["explain", "190/463"],
        &["explain", "--list"],
    ] {
        assert_eq!(scene.run_bare(args, ""), 0);
    }
    let apps = &scene.apps;
    let add = ["token", "app", "add", "--app-id", APP];
    assert_eq!(scene.run(&add, &apps.wrong), 5);
    assert_eq!(scene.run(&add, &format!("EAA{}", secret("", 41, 180))), 64);
    assert_eq!(scene.run(&add, &apps.own), 0);
    assert_eq!(scene.run(&add, &apps.own), 0);
    let both = format!("{OTHER_APP}|{}", apps.other);
    assert_eq!(scene.run(&["token", "app", "add"], &both), 0);
    // a secret where none belongs
    assert_eq!(
        scene.run_careless(&["token", "app", "add", "--app-id", &both]),
        64
    );
    assert_eq!(
        scene.run_careless(&["token", "app", "remove", &apps.own]),
        64
    );
    assert_eq!(scene.run(&["token", "app", "list"], ""), 0);
    assert_eq!(scene.run(&["token", "app", "remove", OTHER_APP], ""), 0);
    assert_eq!(scene.run_careless(&["explain", &apps.own]), 64);
}

fn pastes(scene: &Scene, tokens: &Tokens) {
    let own = &scene.apps.own;
    for paste in [
        format!("\"Bearer {}\"\n", tokens.stranger),
        format!("{{\"error\":{{\"message\":\"{}\"}}}}", tokens.stranger),
        format!("https://x.example/?access_token={0}&x={0}", tokens.stranger),
        format!("{} {}", tokens.stranger, tokens.dataset),
        format!("{APP}|{own}"),
        format!("…{}", tokens.stranger),
        format!("{}\u{e4}", tokens.stranger),
        own.clone(),
        tokens.stranger.repeat(400),
    ] {
        assert_ne!(scene.run(&["token", "add"], &paste), 0);
        assert_ne!(scene.run(&["token", "inspect", "--stdin"], &paste), 0);
    }
    for args in [
        &["token", "add", &tokens.stranger][..],
        &["token", "add", "--name", &tokens.stranger],
        &["token", "add", "--pixel", &tokens.stranger],
        &["token", "inspect", &tokens.stranger],
        &["token", "revoke", "--fingerprint", &tokens.stranger],
        &["token", "exchange", "--redirect-uri", &tokens.stranger],
    ] {
        assert!(matches!(scene.run_careless(args), 1 | 64));
    }
    let add = |name, token: &str, more: &[&str]| {
        let args = [&["token", "add", "--name", name][..], more].concat();
        assert_eq!(scene.run(&args, token), 0, "{name}");
    };
    add("shop", &tokens.dataset, &["--pixel", PIXEL]);
    add("admin", &tokens.admin, &["--pixel", OTHER]);
    add("person", &tokens.person, &[]);
    add("short", &tokens.short, &[]);
    add("sixty", &tokens.sixty, &[]);
    assert_eq!(
        scene.run(&["token", "add", "--name", "person"], &tokens.next),
        1
    );
    assert_eq!(
        scene.run(&["token", "add", "--pixel", PIXEL], &tokens.next),
        1
    );
    assert_eq!(scene.run(&["token", "list"], ""), 0);
    assert_eq!(scene.run(&["token", "list"], ""), 0);
    assert_eq!(scene.run(&["check"], ""), 0);
    let setup = ["token", "setup", "--pixel", PIXEL];
    assert_eq!(scene.run(&setup, "Shop\nhttps://shop.example\n"), 0);
    let setup = ["token", "setup", "--pixel", "3333333333333333"];
    let answers = format!("Shop\nhttps://shop.example\n1\n{}\n", tokens.stranger);
    assert_eq!(scene.run(&setup, &answers), 3);
}

fn alerts(scene: &Scene) {
    assert_eq!(scene.run(&["alert", "test"], ""), 0);
    let url = scene.site.var("HOOK_URL");
    let secret = scene.site.var("HOOK_SECRET");
    for status in ["500 No", "404 No", "301 Elsewhere"] {
        scene.hook.answers(status, &format!("no {url} {secret}"));
        assert_eq!(scene.run(&["alert", "test"], ""), 6, "{status}");
    }
    scene.hook.answers("200 OK", "");
}

/// Each state that a token can be in, with a message that says the token back: what the commands
/// say, and for some of them the gateway.
async fn states(scene: &Scene, gateway: &Gateway, tokens: &Tokens) {
    gateway.sends(scene, "first").await;
    for (number, row) in STATES.iter().enumerate() {
        for (name, token) in [("dataset", &tokens.dataset), ("admin", &tokens.admin)] {
            let change = TokenChange {
                message: Some(format!("{}: {token} {{token}}", row.refusal.message)),
                ..TokenChange::from(row.state)
            };
            assert!(scene.site.sandbox.change_token(name, &change));
        }
        scene.run(&["token", "inspect", "admin"], "");
        match number % 5 {
            0 => scene.run(&["check"], ""),
            1 => scene.run(&["token", "verify", "--pixel", PIXEL], ""),
            2 => scene.run(&["token", "extend", "admin"], ""),
            3 => scene.run(&["token", "add", "--name", "again"], &tokens.dataset),
            _ => scene.run(&["token", "system-user", "refresh", "--all"], ""),
        };
        if number.is_multiple_of(9) {
            gateway.sends(scene, &format!("state-{number}")).await;
            let assign = ["token", "assign", "next", "--pixel", PIXEL];
            scene.run(&assign, "");
            assert_eq!(
                scene.run(&["token", "assign", "nobody", "--pixel", PIXEL], ""),
                1
            );
            scene.run(&["token", "list"], "");
            scene.run(&["holds", "list"], "");
        }
        for name in ["dataset", "admin"] {
            scene.site.sandbox.set_token_state(name, TokenState::Valid);
        }
    }
    scene.run(&["reload"], "");
    scene.run(&["config", "print"], "");
}

/// Each call to Facebook fails in each way, with words that say back all that the call carries.
async fn each_edge_fails(scene: &Scene, tokens: &Tokens) {
    let own = scene.apps.own.as_str();
    let uri = format!("http://localhost:{}/", scene.port);
    let code = secret("AQ", 51, 200);
    scene.canary("a code", &code);
    let [person, admin] = [&tokens.person, &tokens.admin].map(|token| proof(own, token, None));
    let person = [tokens.person.as_str(), own, &person];
    let admin = [tokens.admin.as_str(), own, &admin];
    let calls: &[(Edge, &[&str], &str, &str)] = &[
        (Edge::Oauth, &[own], "app add --app-id APP", own),
        (
            Edge::Oauth,
            &[own, &code],
            "exchange --app-id APP --redirect-uri URI",
            &code,
        ),
        (Edge::Oauth, &[&tokens.short, own], "extend short", ""),
        (Edge::Oauth, &person[..2], "add --extend", &tokens.person),
        (
            Edge::Oauth,
            &[&tokens.sixty, own],
            "system-user refresh sixty --force",
            "",
        ),
        (Edge::DebugToken, &admin[..2], "inspect admin", ""),
        (
            Edge::DebugToken,
            &[&tokens.stranger, own],
            "inspect --stdin",
            &tokens.stranger,
        ),
        (Edge::Accounts, &person, "pages --from person", ""),
        (Edge::Page, &person, "page --page-id PAGE --from person", ""),
        (
            Edge::Page,
            &person,
            "page --page-id WITHHELD --from person",
            "",
        ),
        (Edge::Pixel, &admin, "verify admin", ""),
        (
            Edge::SystemUsers,
            &admin,
            "system-user list --business BUSINESS --from admin",
            "",
        ),
        (
            Edge::Applications,
            &admin,
            "system-user install --system-user USER --from admin",
            "",
        ),
        (
            Edge::AccessTokens,
            &admin,
            "system-user create --system-user USER --scope ads_management --from admin",
            "",
        ),
        (
            Edge::Events,
            &admin,
            "verify admin --send-test --test-event-code TEST1 --yes",
            "",
        ),
    ];
    for (edge, carries, line, input) in calls {
        let named = |word| match word {
            "APP" => APP,
            "URI" => &uri,
            "PAGE" => PAGE,
            "WITHHELD" => WITHHELD,
            "BUSINESS" => BUSINESS,
            "USER" => USER,
            plain => plain,
        };
        let words = line.split(' ').map(named);
        let args: Vec<&str> = std::iter::once("token").chain(words).collect();
        for action in failures(&Scene::echo(carries)) {
            scene.fault(*edge, action);
            scene.run(&args, input);
            assert!(
                scene.site.sandbox.faults().is_empty(),
                "{line} meets no failure"
            );
        }
        // and as it should be
        scene.run(&args, input);
    }
    for action in failures(&Scene::echo(&[])) {
        scene.fault(Edge::DebugToken, action);
        scene.run(&["check"], "");
    }
    scene.site.sandbox.clear_faults();
    for number in 0..failures("").len() {
        let name = format!("spare-{number}");
        let spare = secret("EAA", 100 + number as u64, 180);
        scene.token("a spare token", &spare);
        let token = SandboxToken {
            name: name.clone(),
            value: spare.clone(),
            app: Some(APP.to_owned()),
            holder: Some(USER.to_owned()),
            ..SandboxToken::default()
        };
        scene.site.sandbox.mint_token(token).unwrap();
        let add = ["token", "add", "--name", &name, "--no-verify"];
        assert_eq!(scene.run(&add, &spare), 0);
        let action = failures(&Scene::echo(&[&spare, own])).remove(number);
        scene.fault(Edge::Revoke, action);
        scene.run(&["token", "revoke", &name, "--yes"], "");
        scene.site.sandbox.clear_faults();
        scene.run(&["token", "revoke", &name, "--yes"], "");
    }
    for action in failures(&Scene::echo(&[own])) {
        for edge in [Edge::Me, Edge::Permissions] {
            scene.fault(edge, action.clone());
        }
        scene.log_in(&[], str::to_owned).await;
        scene.site.sandbox.clear_faults();
    }
}

async fn logins(scene: &Scene) {
    assert_eq!(
        scene.log_in(&["--name", "by-login"], str::to_owned).await,
        0
    );
    let wrong = |back: &str| back.replace("&state=", "&state=0");
    assert_eq!(scene.log_in(&[], wrong).await, 7);
    let other_path = |back: &str| back.replace("/?", "/elsewhere?");
    assert_eq!(scene.log_in(&["--timeout", "1s"], other_path).await, 7);
    for outcome in [
        DialogOutcome::Deny,
        DialogOutcome::Error,
        DialogOutcome::Blocked,
    ] {
        scene.mood(DialogMood {
            outcome,
            ..DialogMood::default()
        });
        assert_ne!(
            scene
                .log_in(&["--timeout", "2s", "--json"], str::to_owned)
                .await,
            0
        );
    }
    scene.mood(DialogMood {
        decline: vec!["ads_management".to_owned()],
        ..DialogMood::default()
    });
    assert_eq!(scene.log_in(&[], str::to_owned).await, 4);
    scene.mood(DialogMood::default());
    assert_eq!(scene.log_in(&["--rerequest"], str::to_owned).await, 0);
    // each way in which the exchange at its end can fail
    for number in 0..failures("").len() {
        let fails = |back: &str| {
            let url = url::Url::parse(back).unwrap();
            let code = url.query_pairs().find(|(name, _)| name == "code");
            let code = code.unwrap().1.into_owned();
            let message = Scene::echo(&[&code, &scene.apps.own]);
            scene.fault(Edge::Oauth, failures(&message).remove(number));
            back.to_owned()
        };
        assert_ne!(scene.log_in(&[], fails).await, 0);
    }

    // codes that are pasted: whole, used, cut off, of another address
    let uri = format!("http://localhost:{}/", scene.port);
    let exchange = ["token", "exchange", "--app-id", APP, "--redirect-uri", &uri];
    let back = scene.code().await;
    assert_eq!(scene.run(&exchange, &back), 0);
    assert_eq!(scene.run(&exchange, &back), 3);
    let back = scene.code().await;
    assert_eq!(scene.run(&exchange, &back[..back.len() / 2]), 3);
    let shorter = uri.trim_end_matches('/');
    let elsewhere = [
        "token",
        "exchange",
        "--app-id",
        APP,
        "--redirect-uri",
        shorter,
    ];
    assert_eq!(scene.run(&elsewhere, &back), 5);
    let refused = format!("{uri}?error=access_denied&state={}", secret("", 61, 64));
    assert_eq!(scene.run(&exchange, &refused), 7);

    browser_is_told_the_address_alone(scene).await;
}

/// What opens the browser gets the address, and nothing else of ours.
async fn browser_is_told_the_address_alone(scene: &Scene) {
    let dir = scene.site.dir.path();
    let opener = dir.join("xdg-open");
    let told = dir.join("told");
    // names in whole, since there is no PATH to find them in
    let script = format!(
        "#!/bin/sh\n/bin/cat /proc/self/environ >'{0}.new'\n/bin/mv '{0}.new' '{0}'\n",
        told.display()
    );
    std::fs::write(&opener, script).unwrap();
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o700)).unwrap();
    let args = ["token", "login", "--port", &scene.port, "--timeout", "5s"];
    let running = scene.site.start(&args);
    let dialog = running.dialog();
    for _ in 0..500 {
        if told.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(told.exists(), "no browser was opened");
    let back = scene.visit(&dialog).await.unwrap();
    scene.http.get(back).send().await.unwrap();
    let said = running.end();
    assert_eq!(said.code, 0);
    scene.hear(
        "a login with a browser",
        said.out.replace(&dialog, "") + &said.err,
    );
    let environment = std::fs::read(&told).unwrap();
    scene.hear_environment("the environment of the browser", &environment);
    std::fs::remove_file(told).unwrap();
    std::fs::remove_file(opener).unwrap();
}

/// Rotation, and what comes after it.
async fn ends(scene: &Scene, gateway: &Gateway, tokens: &Tokens) {
    let rotate = |more: &[&str], input: &str| {
        let args = [&["token", "rotate", "--pixel", OTHER][..], more].concat();
        scene.run(&args, input)
    };
    assert_eq!(rotate(&[], &tokens.admin), 1);
    assert_eq!(rotate(&[], &tokens.stranger), 3);
    assert_eq!(rotate(&[], &tokens.dataset), 5);
    assert_eq!(rotate(&["--name", "next"], &tokens.next), 0);
    assert_eq!(rotate(&["--undo"], ""), 0);
    assert_eq!(rotate(&["--undo"], ""), 1);
    assert_eq!(rotate(&["--from-next"], ""), 0);
    assert_eq!(rotate(&["--finish"], ""), 1);
    assert_eq!(rotate(&["--finish", "--force", "--revoke"], ""), 64);
    scene.fault(
        Edge::Revoke,
        failures(&Scene::echo(&[&tokens.admin, &scene.apps.own])).remove(3),
    );
    assert_ne!(rotate(&["--finish", "--force", "--revoke", "--yes"], ""), 0);
    gateway.sends(scene, "between").await;
    assert_eq!(rotate(&["--finish", "--force", "--revoke", "--yes"], ""), 0);

    // what the gateway sends meets every failure, too
    let alone = ["token", "rotate", "--pixel", PIXEL, "--force"];
    assert_eq!(scene.run(&alone, &tokens.next), 0);
    for (number, action) in failures(&Scene::echo(&[])).into_iter().enumerate() {
        scene.site.sandbox.add_fault(Fault {
            edge: Some(Edge::Events),
            pixel: None,
            times: None,
            action,
        });
        gateway.sends(scene, &format!("fails-{number}")).await;
        scene.site.sandbox.clear_faults();
    }
    scene.run(&["token", "list"], "");
    scene.run(&["check", "--profile", "production"], "");

    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("shop.env").display().to_string();
    let export = [
        "token",
        "export-env",
        "next",
        "--var",
        "SHOP_TOKEN",
        "--out",
        &file,
    ];
    assert_eq!(scene.run(&export, ""), 0);
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains(&tokens.next)
    );
    assert_eq!(scene.run(&export, ""), 1);
    let reveal = [
        "token",
        "export-env",
        "next",
        "--var",
        "SHOP_TOKEN",
        "--reveal",
    ];
    let said = scene.site.start(&reveal).end();
    assert_eq!(said.code, 64);
    scene.hear("export-env without a yes", said.out + &said.err);
    assert_eq!(scene.run(&["token", "revoke", "next", "--yes"], ""), 1);
    assert_eq!(
        scene.run(&["token", "revoke", "next", "--now", "--yes"], ""),
        0
    );
    assert_eq!(scene.run(&["token", "remove", "sixty", "--yes"], ""), 0);
    assert_eq!(scene.run(&["token", "remove", "sixty", "--yes"], ""), 1);
    gateway.sends(scene, "last").await;
}

/// A vault with another key, damaged, or readable by others.
fn broken_vaults(scene: &Scene, tokens: &Tokens) {
    let dir = scene.site.dir.path();
    let (vault, key) = (dir.join("tokens.vault"), dir.join("vault.key"));
    let (good, own) = (std::fs::read(&vault).unwrap(), std::fs::read(&key).unwrap());
    let each = |wanted: i32| {
        for args in [
            &["token", "list"][..],
            &["token", "add"],
            &["token", "app", "list"],
            &["token", "verify", "shop"],
        ] {
            assert_eq!(scene.run(args, &tokens.dataset), wanted, "{args:?}");
        }
        assert_ne!(scene.run(&["check"], ""), 0);
    };
    std::fs::copy(dir.join("second.key"), &key).unwrap();
    each(64);
    std::fs::write(&key, tokens.stranger.as_bytes()).unwrap();
    each(64);
    std::fs::write(&key, own).unwrap();
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&vault, damaged).unwrap();
    each(64);
    std::fs::write(&vault, good).unwrap();
    std::fs::set_permissions(&vault, std::fs::Permissions::from_mode(0o640)).unwrap();
    each(64);
}

/// A verb that is added has to be added here.
fn every_verb_was_run(scene: &Scene) {
    let help = scene.site.start_bare(&["token", "--help"]).end();
    let verbs = help.out.lines().filter_map(|line| {
        let line = line.strip_prefix("  ")?;
        let verb = line.split(' ').next()?;
        (!verb.is_empty() && !verb.starts_with('-') && verb != "help").then(|| verb.to_owned())
    });
    let run = scene.verbs.borrow();
    let verbs: Vec<String> = verbs.collect();
    assert!(verbs.len() >= 18, "{}", help.out);
    let missing: Vec<_> = verbs.iter().filter(|verb| !run.contains(*verb)).collect();
    assert!(missing.is_empty(), "not run: {missing:?}");
}
