//! A machine on which everything that is said is kept, to be searched at the end.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::TcpListener;

use capigate::sandbox::{Action, DialogMood, Edge, Fault, World};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use serde_json::Value;

use super::canaries::{Canaries, percent, proof, secret};
use super::hook::Hook;
use crate::desk::{Running, Site};
use crate::support::{PIXEL, all_bytes};

pub(super) const APP: &str = "1000000000000001";
pub(super) const OTHER_APP: &str = "1000000000000002";
pub(super) const BUSINESS: &str = "2000000000000001";
pub(super) const USER: &str = "61550000000001";
pub(super) const PAGE: &str = "4000000000000001";
pub(super) const WITHHELD: &str = "4000000000000002";

const WORLD: &str = r#"
[[apps]]
id = "1000000000000001"
secret = "SECRET"
name = "Shop events"
business = "2000000000000001"
redirect_uris = ["https://gate.example/callback"]
[[apps]]
id = "1000000000000002"
secret = "OTHER"
name = "Other"
[[businesses]]
id = "2000000000000001"
name = "Shop Inc."
[[people]]
id = "3000000000000001"
name = "Alex Example"
businesses = ["2000000000000001"]
pixels = ["1234567890123456"]
[[people.pages]]
id = "4000000000000001"
[[people.pages]]
id = "4000000000000002"
withhold_token = true
[[pages]]
id = "4000000000000001"
name = "Shop"
[[pages]]
id = "4000000000000002"
name = "Withheld"
[[system_users]]
id = "61550000000001"
name = "Gateway"
role = "ADMIN"
business = "2000000000000001"
apps = ["1000000000000001"]
pixels = ["1234567890123456", "2222222222222222"]
[[pixels]]
id = "1234567890123456"
name = "Shop website"
[[pixels]]
id = "2222222222222222"
name = "Second"
"#;

/// The secrets of the apps: hex digits, as Meta's are.
pub(super) struct AppSecrets {
    pub(super) own: String,
    pub(super) other: String,
    /// Of no app.
    pub(super) wrong: String,
}

pub(super) struct Scene {
    pub(super) site: Site,
    pub(super) hook: Hook,
    pub(super) apps: AppSecrets,
    pub(super) http: reqwest::Client,
    pub(super) port: String,
    canaries: RefCell<Canaries>,
    /// Tokens there are proofs of.
    tokens: RefCell<Vec<String>>,
    /// Everything that was said, and where first.
    heard: RefCell<HashMap<Vec<u8>, String>>,
    /// The verbs of `capigate token` that were run.
    pub(super) verbs: RefCell<BTreeSet<String>>,
    runs: RefCell<u64>,
    started: i64,
}

fn hex_secret(seed: u64) -> String {
    let text = hex::encode(secret("", seed, 16));
    // the nibbles of letters alone would be half of them 4 to 7
    let turned = text.bytes().enumerate().map(|(at, byte)| {
        let digit = char::from(byte).to_digit(16).unwrap();
        char::from_digit((digit * 7 + at as u32 * 5 + seed as u32) % 16, 16).unwrap()
    });
    turned.collect()
}

fn now() -> i64 {
    capigate::time::Clock::Real.now().secs()
}

impl Scene {
    pub(super) async fn new() -> Self {
        let apps = AppSecrets {
            own: hex_secret(11),
            other: hex_secret(12),
            wrong: hex_secret(13),
        };
        let world = WORLD
            .replace("SECRET", &apps.own)
            .replace("OTHER", &apps.other);
        let world: World = toml::from_str(&world).unwrap();
        let mut site = Site::new(world).await;
        let hook = Hook::new().await;
        let (address, signing) = (secret("", 21, 30), secret("", 22, 40));
        let (admin, ingest) = (secret("", 23, 40), secret("", 24, 40));
        site.extra = format!(
            r#"
[pixels.{PIXEL}]
name = "Example Shop, web"
[sources.shop]
keys = [{{ env = "SHOP_KEY" }}]
pixels = ["{PIXEL}"]
[admin]
keys = [{{ env = "CAPIGATE_ADMIN_KEY" }}]
[alerts]
webhook_url = {{ env = "HOOK_URL" }}
webhook_secret = {{ env = "HOOK_SECRET" }}
max_per_hour = 1000
[listen]
ingest = "127.0.0.1:0"
admin = "127.0.0.1:0"
[lanes]
linger = "20ms"
probe_interval = "1s"
[reload]
debounce = "20ms"
[telemetry]
log_level = "trace"
log_format = "json"
[shutdown]
grace = "0s"
"#
        );
        let port = hook.port;
        site.vars = vec![
            ("SHOP_KEY", ingest.clone()),
            ("CAPIGATE_ADMIN_KEY", admin.clone()),
            ("HOOK_SECRET", signing.clone()),
            ("HOOK_URL", format!("http://127.0.0.1:{port}/{address}")),
            ("RUST_BACKTRACE", "1".to_owned()),
        ];
        let mut canaries = Canaries::default();
        canaries.add("the app secret", &apps.own);
        canaries.add("the other app's secret", &apps.other);
        canaries.add("the wrong app secret", &apps.wrong);
        canaries.add("the webhook's address", &address);
        canaries.add("the webhook's secret", &signing);
        canaries.add("the admin key", &admin);
        canaries.add("the ingest key", &ingest);
        site.vault();
        let key = std::fs::read_to_string(site.dir.path().join("vault.key")).unwrap();
        canaries.add("the key of the vault", key.trim());
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        Self {
            site,
            hook,
            apps,
            http: http.redirect(Policy::none()).build().unwrap(),
            port: free.local_addr().unwrap().port().to_string(),
            canaries: RefCell::new(canaries),
            tokens: RefCell::default(),
            heard: RefCell::default(),
            verbs: RefCell::default(),
            runs: RefCell::default(),
            started: now(),
        }
    }

    /// A secret that is looked for from now on.
    pub(super) fn canary(&self, name: &str, value: &str) {
        self.canaries.borrow_mut().add(name, value);
    }

    /// A token whose proofs are looked for as well.
    pub(super) fn token(&self, name: &str, value: &str) {
        self.canary(name, value);
        self.tokens.borrow_mut().push(value.to_owned());
    }

    /// Something that was said.
    pub(super) fn hear(&self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        let mut heard = self.heard.borrow_mut();
        heard.entry(bytes.into()).or_insert_with(|| place.into());
    }

    /// Runs a command with this on standard input; every other time as JSON. Gives its exit code.
    pub(super) fn run(&self, args: &[&str], input: &str) -> i32 {
        let runs = self.count();
        let json: &[&str] = if runs.is_multiple_of(2) {
            &["--json"]
        } else {
            &[]
        };
        let args = [args, json].concat();
        let running = self.site.start(&args);
        self.finish(&args, running, input)
    }

    /// The same without a configuration.
    pub(super) fn run_bare(&self, args: &[&str], input: &str) -> i32 {
        self.count();
        let running = self.site.start_bare(args);
        self.finish(args, running, input)
    }

    fn count(&self) -> u64 {
        *self.runs.borrow_mut() += 1;
        *self.runs.borrow()
    }

    fn finish(&self, args: &[&str], mut running: Running, input: &str) -> i32 {
        self.note(args);
        self.look_at(args, running.id());
        running.type_in(input);
        self.look_at(args, running.id());
        let said = running.end();
        self.hear(format!("out of {args:?}"), said.out);
        self.hear(format!("err of {args:?}"), said.err);
        said.code
    }

    /// Runs a command with a secret in an argument, as it should not be: whoever types that shows it,
    /// and it must not be said again.
    pub(super) fn run_careless(&self, args: &[&str]) -> i32 {
        self.note(args);
        let said = self.site.start(args).end();
        let verbs = &args[..2];
        self.hear(
            format!("{verbs:?} with a secret in an argument"),
            said.out + &said.err,
        );
        said.code
    }

    /// Notes the verb of a `capigate token` command.
    pub(super) fn note(&self, args: &[&str]) {
        if let ["token", verb, ..] = args {
            self.verbs.borrow_mut().insert((*verb).to_owned());
        }
    }

    /// Keeps what others on the machine see of a process.
    pub(super) fn look_at(&self, args: &[&str], id: u32) {
        // it may have ended
        if let Ok(line) = std::fs::read(format!("/proc/{id}/cmdline")) {
            self.hear(format!("the command line of {args:?}"), line);
        }
        if let Ok(all) = std::fs::read(format!("/proc/{id}/environ")) {
            self.hear_environment(&format!("the environment of {args:?}"), &all);
        }
    }

    /// Keeps an environment, without what is in it on purpose, to be referred to.
    pub(super) fn hear_environment(&self, place: &str, all: &[u8]) {
        let given = |entry: &&[u8]| {
            let mut names = self.site.vars.iter().map(|(name, _)| name.as_bytes());
            !names.any(|name| entry.starts_with(name))
        };
        let rest: Vec<&[u8]> = all.split(|byte| *byte == 0).filter(given).collect();
        self.hear(place, rest.concat());
    }

    /// What happens to the next call to an edge, and its message.
    pub(super) fn fault(&self, edge: Edge, action: Action) {
        self.site.sandbox.add_fault(Fault {
            edge: Some(edge),
            pixel: None,
            times: None,
            action,
        });
    }

    /// What a call carries, as a server might say it back, plainly and percent-encoded.
    pub(super) fn echo(carries: &[&str]) -> String {
        let both = carries.iter().map(|secret| {
            let coded = percent(secret.as_bytes());
            format!(", {secret} {coded}")
        });
        format!(
            "Malformed access token {{token}}{}",
            both.collect::<String>()
        )
    }

    /// Opens the dialog as a browser would, and gives where it leads; none when it does not.
    pub(super) async fn visit(&self, dialog: &str) -> Option<String> {
        let answer = self.http.get(dialog).send().await.unwrap();
        let back = answer.headers().get(LOCATION)?.to_str().unwrap().to_owned();
        let url = url::Url::parse(&back).unwrap();
        for (name, value) in url.query_pairs() {
            if name == "code" || name == "state" {
                self.canary(&format!("a login's {name}"), &value);
            }
        }
        Some(back)
    }

    /// Logs in, with the address that the dialog leads to changed so. Gives the exit code.
    pub(super) async fn log_in(&self, more: &[&str], change: impl Fn(&str) -> String) -> i32 {
        let args = ["token", "login", "--no-browser", "--port", &self.port];
        let args = [&args[..], more].concat();
        self.note(&args);
        let running = self.site.start(&args);
        self.look_at(&args, running.id());
        let dialog = running.dialog();
        if let Some(back) = self.visit(&dialog).await {
            let page = self.http.get(change(&back)).send().await.unwrap();
            let head = format!("{:?}", page.headers());
            self.hear("the head of the page after the login", head);
            self.hear("the page after the login", page.text().await.unwrap());
        }
        let said = running.end();
        // the address is for the person at the terminal, and its state with it
        let out = said.out.replace(&dialog, "");
        let err = said.err.replace(&dialog, "");
        self.hear(format!("out of {args:?}"), out);
        self.hear(format!("err of {args:?}"), err);
        said.code
    }

    /// A code that was not exchanged: the whole address that the browser ends on.
    pub(super) async fn code(&self) -> String {
        let args = [
            "token",
            "login",
            "--url-only",
            "--app-id",
            APP,
            "--port",
            &self.port,
        ];
        let said = self.site.start(&args).end();
        self.visit(said.out.trim()).await.unwrap()
    }

    /// How the next dialogs end.
    pub(super) fn mood(&self, mood: DialogMood) {
        self.site.sandbox.set_dialog(mood);
    }

    /// The tokens that the made-up Facebook has handed out by itself are canaries, too, and so are
    /// the proofs of all of them, and those of each second of the tokens that events are sent with.
    async fn learn(&self, senders: &[&str]) {
        let url = self.site.sandbox.url();
        for info in self.site.sandbox.tokens() {
            let url = format!("{url}/sandbox/tokens/{}/value", info.fingerprint);
            let answer: Value = self
                .http
                .get(url)
                .send()
                .await
                .unwrap()
                .json()
                .await
                .unwrap();
            let value = answer["access_token"].as_str().unwrap().to_owned();
            if !self.tokens.borrow().contains(&value) {
                self.token(&format!("the token {}", info.name), &value);
            }
        }
        let mut canaries = self.canaries.borrow_mut();
        for token in self.tokens.borrow().iter() {
            for secret in [&self.apps.own, &self.apps.other] {
                canaries.add_plain("a proof", &proof(secret, token, None));
            }
        }
        for token in senders {
            for at in self.started - 1..=now() + 1 {
                let timed = proof(&self.apps.own, token, Some(at));
                canaries.add_plain("a timed proof", &timed);
            }
        }
    }

    /// Searches everything that was said, and every file, for every secret.
    pub(super) async fn search(&self, senders: &[&str]) {
        self.learn(senders).await;
        for message in self.hook.messages() {
            self.hear("an alert", message);
        }
        for (path, bytes) in all_bytes(self.site.dir.path()) {
            let is_key = path.extension().is_some_and(|ending| ending == "key");
            if !is_key {
                self.hear(path.display().to_string(), bytes);
            }
        }
        let canaries = self.canaries.borrow();
        let heard = self.heard.borrow();
        let found: Vec<String> = heard
            .iter()
            .filter_map(|(bytes, place)| Some(format!("{place}: {}", canaries.find(bytes)?)))
            .collect();
        assert!(found.is_empty(), "{}", found.join("\n"));
        let bytes: usize = heard.keys().map(Vec::len).sum();
        assert!(
            bytes > 500_000,
            "too little was said to say anything: {bytes}"
        );
    }
}
