//! The watch over tokens, round by round, against the simulated Meta, on a clock the test moves.

mod renew;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use capigate::alerts::{self, Alerts};
use capigate::app::roster;
use capigate::config::Config;
use capigate::custody::watch::{Hooks, Roster, Tools, Waiting, Watch};
use capigate::custody::{Policy, Source};
use capigate::graph::oauth::OauthClient;
use capigate::pixel::PixelId;
use capigate::sandbox::{Quirks, Sandbox, SandboxSettings, SandboxToken, TokenState, World};
use capigate::secret::Secret;
use capigate::telemetry::metrics::Metrics;
use capigate::time::{Clock, UnixMs};
use capigate::tokens::{
    AppRecord, Candidates, Contents, Credential, Expiry, Facts, Kind, Name, Notes, Obtained,
    Refused, Slot, Slots, State, TokenKey, TokenRecord, Tokens, Vault, VaultError,
};

const APP: &str = "1000000000000001";
const PIXEL: &str = "1234567890123456";
const DAY: Duration = Duration::from_hours(24);

/// One app, one system user that may use the pixel.
const WORLD: &str = r#"
[[apps]]
id = "1000000000000001"
secret = "0123456789abcdef0123456789abcdef"
name = "Shop events"
business = "2000000000000001"
[[businesses]]
id = "2000000000000001"
name = "Shop Inc."
[[system_users]]
id = "61550000000001"
name = "capi"
role = "ADMIN"
business = "2000000000000001"
apps = ["1000000000000001"]
pixels = ["1234567890123456"]
[[pixels]]
id = "1234567890123456"
name = "Example Shop"
business = "2000000000000001"
"#;

struct Place {
    dir: tempfile::TempDir,
    sandbox: Sandbox,
    clock: Clock,
    vault: Vault,
    tokens: Tokens,
    alerts: Alerts,
    metrics: Metrics,
    config: Config,
    watch: Watch,
}

fn pixel() -> PixelId {
    PIXEL.parse().unwrap()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Place {
    async fn new() -> Self {
        Self::with_waiting(Vec::new()).await
    }

    async fn with_waiting(waiting: Vec<Waiting>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(UnixMs::from_secs(1_800_000_000));
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            world: toml::from_str::<World>(WORLD).unwrap(),
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings, clock.clone()).await.unwrap();
        let key = Secret::new("ab".repeat(32));
        let vault = Vault::new(dir.path().join("tokens.vault"), &key).unwrap();
        let metrics = Metrics::new().unwrap();
        let tokens = Tokens::new(HashMap::new());
        let settings = alerts::Settings {
            repeat: DAY,
            max_per_hour: 20,
            give_up: DAY,
            timeout: DAY,
            instance: "test".to_owned(),
            roots: Vec::new(),
            webhook: None,
            email: None,
        };
        let alerts = Alerts::new(settings, None, clock.clone(), metrics.clone());
        let mut config = Config::default();
        config.graph.url = sandbox.url().parse().unwrap();
        config.graph.dialog_url = sandbox.url().parse().unwrap();
        config
            .pixels
            .insert(pixel(), capigate::config::Pixel::default());
        let tools = Tools {
            client: OauthClient::new(roster::oauth(&config).unwrap(), clock.clone()).unwrap(),
            tokens: tokens.clone(),
            alerts: alerts.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            notes: dir.path().join("tokens.json"),
        };
        Self {
            watch: Watch::new(tools, hooks(&config, &vault, &tokens, waiting)),
            config,
            dir,
            sandbox,
            clock,
            vault,
            tokens,
            alerts,
            metrics,
        }
    }

    /// Another process in the place of this one, with what was noted and told before.
    fn restart(&mut self) {
        let tools = Tools {
            client: OauthClient::new(roster::oauth(&self.config).unwrap(), self.clock.clone())
                .unwrap(),
            tokens: self.tokens.clone(),
            alerts: self.alerts.clone(),
            clock: self.clock.clone(),
            metrics: self.metrics.clone(),
            notes: self.dir.path().join("tokens.json"),
        };
        let hooks = hooks(&self.config, &self.vault, &self.tokens, Vec::new());
        self.watch = Watch::new(tools, hooks);
    }

    /// Mints a token of the system user and puts it into the vault.
    fn put(&self, label: &str, slot: Slot, expires_in: Option<Duration>) -> String {
        let token = SandboxToken {
            name: label.to_owned(),
            app: Some(APP.to_owned()),
            holder: Some("61550000000001".to_owned()),
            scopes: vec!["ads_management".to_owned()],
            expires_in,
            ..SandboxToken::default()
        };
        let value = self.sandbox.mint_token(token).unwrap();
        let record = TokenRecord {
            secret: Secret::new(value.clone()),
            obtained: Obtained::Pasted,
            added_at: self.clock.now(),
            facts: Facts::default(),
        };
        self.vault
            .update(|contents| -> Result<(), VaultError> {
                contents.add(name(label), record)?;
                Ok(contents.bind(pixel(), slot, &name(label), self.clock.now())?)
            })
            .unwrap();
        load(&self.vault, &self.tokens);
        value
    }

    fn know_app(&self) {
        let app = AppRecord {
            secret: Secret::new("0123456789abcdef0123456789abcdef".to_owned()),
            added_at: self.clock.now(),
        };
        self.vault
            .update(|contents| -> Result<(), VaultError> {
                contents.apps.insert(APP.to_owned(), app);
                Ok(())
            })
            .unwrap();
    }

    /// The clocks of both sides go on.
    fn pass(&self, span: Duration) {
        // the sandbox is on the same clock
        self.clock.set(self.clock.now().plus(span));
    }

    fn facts(&self, token: &str) -> Facts {
        let notes = Notes::read(&self.dir.path().join("tokens.json")).unwrap();
        notes.tokens[&print(token)].facts.clone()
    }

    fn slots(&self) -> String {
        let contents = self.vault.read().unwrap();
        let names = contents.pixels.get(&pixel()).into_iter();
        let names = names.flat_map(Slots::names);
        let shown: Vec<_> = names
            .map(|(slot, name)| format!("{}={name}", slot.code()))
            .collect();
        shown.join(" ")
    }

    /// The lines of the metrics page that begin so.
    fn metric(&self, start: &str) -> Vec<String> {
        let page = self.metrics.page().unwrap();
        let lines = page.lines().filter(|line| line.starts_with(start));
        lines.map(str::to_owned).collect()
    }

    fn raised(&self) -> i64 {
        self.metrics.alerts_raised.get()
    }
}

fn hooks(config: &Config, vault: &Vault, tokens: &Tokens, waiting: Vec<Waiting>) -> Hooks {
    let (vault, config) = (vault.clone(), config.clone());
    let reload = (vault.clone(), tokens.clone());
    Hooks {
        roster: Box::new(move || {
            let read = vault.read();
            let unread = read.as_ref().err().map(ToString::to_string);
            Roster {
                kept: roster::roster(&config, &BTreeMap::new(), &read.unwrap_or_default()),
                pixels: vec![pixel()],
                vault: Some(vault.clone()),
                unread,
                policy: Policy::default(),
            }
        }),
        reload: Box::new(move || {
            load(&reload.0, &reload.1);
            Box::pin(std::future::ready(()))
        }),
        waiting: Arc::new(move || waiting.clone()),
    }
}

fn print(token: &str) -> String {
    Secret::new(token.to_owned()).fingerprint()
}

/// What a gateway does with a vault.
fn load(vault: &Vault, tokens: &Tokens) {
    let contents = vault.read().unwrap();
    let candidates: Candidates = contents
        .candidates(pixel())
        .map(|(_, _, record)| Credential {
            token: record.secret.clone(),
            app_secret: None,
            app_id: None,
        })
        .collect();
    tokens.replace([(pixel(), candidates)].into());
}

#[tokio::test]
async fn a_token_is_asked_about_at_the_start_and_each_day() {
    let mut place = Place::new().await;
    let token = place.put("shop", Slot::Current, None);
    place.watch.round().await;
    let facts = place.facts(&token);
    assert_eq!(facts.state, State::Valid);
    assert_eq!(facts.kind, Kind::SystemUser);
    assert_eq!(facts.expires, Expiry::Never);
    assert_eq!(facts.app_id.as_deref(), Some(APP));
    // the commands find it in the vault
    let contents = place.vault.read().unwrap();
    assert_eq!(contents.tokens[&name("shop")].facts.state, State::Valid);
    assert_eq!(place.metric("capigate_token_valid{").len(), 1);
    assert!(place.metric("capigate_token_valid{")[0].ends_with(" 1"));
    assert_eq!(place.metric("capigate_token_expires_seconds{"), [""; 0]);
    let asked = place.sandbox.account_calls().len();
    place.watch.round().await;
    place.pass(Duration::from_hours(20));
    place.watch.round().await;
    assert_eq!(place.sandbox.account_calls().len(), asked);
    place.pass(Duration::from_hours(7));
    place.watch.round().await;
    assert!(place.sandbox.account_calls().len() > asked);
    assert_eq!(place.sandbox.violations(), []);
    assert_eq!(place.raised(), 0);
}

#[tokio::test]
async fn no_answer_says_nothing_about_a_token() {
    let mut place = Place::new().await;
    let token = place.put("shop", Slot::Current, None);
    place.watch.round().await;
    // a limit is no verdict, and neither is a refusal to inspect itself
    place
        .sandbox
        .set_token_state(&print(&token), TokenState::AppLimit);
    place.pass(DAY * 2);
    place.watch.round().await;
    assert_eq!(place.facts(&token).state, State::Valid);
    place
        .sandbox
        .set_token_state(&print(&token), TokenState::Valid);
    place.sandbox.set_quirks(Quirks {
        no_self_inspection: true,
        ..Quirks::default()
    });
    place.pass(DAY * 2);
    place.watch.round().await;
    assert_eq!(place.facts(&token).state, State::Valid);
    assert_eq!(place.raised(), 0);
}

#[tokio::test]
async fn a_current_token_that_meta_calls_dead_gives_way_before_a_batch_finds_out() {
    let mut place = Place::new().await;
    let old = place.put("old", Slot::Current, None);
    place.put("new", Slot::Next, None);
    place.watch.round().await;
    let asked = place.sandbox.account_calls().len();
    place
        .sandbox
        .set_token_state(&print(&old), TokenState::Revoked);
    place.pass(DAY * 2);
    place.watch.round().await;
    assert_eq!(place.slots(), "current=new retiring=old");
    let daily = place.sandbox.account_calls().len() - asked;
    // and nobody goes on asking about what is known to be dead
    for _ in 0..5 {
        place.pass(Duration::from_mins(5));
        place.watch.round().await;
    }
    assert_eq!(place.sandbox.account_calls().len() - asked, daily);
    // an operator mends it at Meta and makes it current again
    place
        .sandbox
        .set_token_state(&print(&old), TokenState::Valid);
    place
        .vault
        .update(|contents| -> Result<(), VaultError> {
            contents.roll_back(pixel())?;
            Ok(())
        })
        .unwrap();
    load(&place.vault, &place.tokens);
    place.watch.round().await;
    assert_eq!(place.slots(), "current=old");
}

#[tokio::test]
async fn an_app_that_comes_to_the_vault_is_asked_in_the_name_of() {
    let mut place = Place::new().await;
    place.sandbox.set_quirks(Quirks {
        no_self_inspection: true,
        ..Quirks::default()
    });
    let token = place.put("shop", Slot::Current, None);
    place.watch.round().await;
    assert_eq!(place.facts(&token).state, State::Unknown);
    place.know_app();
    place.watch.round().await;
    assert_eq!(place.facts(&token).state, State::Valid);
    // from now on its requests carry a proof
    let contents = place.vault.read().unwrap();
    let known = contents.tokens[&name("shop")].facts.app_id.clone();
    assert_eq!(known.as_deref(), Some(APP));
}

#[tokio::test]
async fn a_dead_token_that_no_pixel_has_is_not_asked_about_again() {
    let mut place = Place::new().await;
    let token = place.put("shop", Slot::Current, None);
    let dead = TokenState::Revoked;
    place.sandbox.set_token_state(&print(&token), dead);
    let let_go = |contents: &mut Contents| -> Result<(), VaultError> {
        contents.pixels.clear();
        Ok(())
    };
    place.vault.update(let_go).unwrap();
    place.watch.round().await;
    let asked = place.sandbox.account_calls().len();
    assert!(asked > 0, "once, to know it");
    place.pass(DAY * 2);
    place.watch.round().await;
    assert_eq!(place.sandbox.account_calls().len(), asked);
}

#[tokio::test]
async fn a_dead_token_is_seen_and_told() {
    for (dead, state) in [
        (TokenState::PasswordChanged, State::Revoked),
        (TokenState::AppRemoved, State::Revoked),
        (TokenState::Expired, State::Expired),
        (TokenState::Checkpointed, State::Blocked),
        (TokenState::Malformed, State::Invalid),
    ] {
        let mut place = Place::new().await;
        let token = place.put("shop", Slot::Current, None);
        place.sandbox.set_token_state(&print(&token), dead);
        place.watch.round().await;
        assert_eq!(place.facts(&token).state, state, "{dead:?}");
        assert!(place.metric("capigate_token_valid{")[0].ends_with(" 0"));
        assert_eq!(place.raised(), 1, "{dead:?}");
        // mended at Meta
        place
            .sandbox
            .set_token_state(&print(&token), TokenState::Valid);
        place.pass(DAY * 2);
        place.watch.round().await;
        assert_eq!(place.raised(), 0, "{dead:?}");
    }
}

#[tokio::test]
async fn a_refused_token_is_asked_about_at_once_and_its_next_one_becomes_current() {
    let mut place = Place::new().await;
    let old = place.put("old", Slot::Current, None);
    let new = place.put("new", Slot::Next, None);
    place.watch.round().await;
    place.pass(Duration::from_mins(5));
    place
        .sandbox
        .set_token_state(&print(&old), TokenState::Revoked);
    let key = TokenKey::of(&Secret::new(old.clone()));
    // what a lane says when Graph answers 190
    let moved = place.tokens.refuse(Refused {
        token: key,
        pixel: None,
    });
    assert!(moved);
    let now = place.tokens.get(pixel()).unwrap();
    assert_eq!(now.token_key(), TokenKey::of(&Secret::new(new)));
    place.watch.round().await;
    assert_eq!(place.facts(&old).state, State::Revoked);
    assert_eq!(place.slots(), "current=new retiring=old");
    // nothing was sent with the new one yet
    place.pass(DAY * 2);
    place.watch.round().await;
    assert_eq!(place.slots(), "current=new retiring=old");
    place
        .tokens
        .sent(now.token_key(), pixel(), 1, place.clock.now());
    place.watch.round().await;
    assert_eq!(place.slots(), "current=new");
}

#[tokio::test]
async fn a_new_token_that_is_refused_goes_back_to_the_one_before() {
    let mut place = Place::new().await;
    place.put("old", Slot::Current, None);
    let new = place.put("new", Slot::Current, None);
    assert_eq!(place.slots(), "current=new retiring=old");
    place.tokens.refuse(Refused {
        token: TokenKey::of(&Secret::new(new)),
        pixel: None,
    });
    place.watch.round().await;
    assert_eq!(place.slots(), "current=old");
}
