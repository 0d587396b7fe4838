//! A directory with a configuration and a vault, a simulated Meta, and the program to run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use capigate::sandbox::{Fault, Sandbox, SandboxSettings, SandboxToken, TokenKind, World};
use capigate::time::Clock;
use capigate::tokens::{Contents, Vault, VaultError};
use serde_json::{Value, json};

use super::world::WORLD;

pub(crate) const APP: &str = "1000000000000001";
pub(crate) const SECRET: &str = "c3a91f5b7e02d846b95f1c7e3a0d6284";
pub(crate) const OTHER_APP: &str = "1000000000000002";
pub(crate) const OTHER_SECRET: &str = "5be1f7a92c4d80366f92ab41d7c0e853";
pub(crate) const BUSINESS: &str = "2000000000000001";
pub(crate) const PERSON: &str = "3000000000000001";
pub(crate) const ADMIN: &str = "61550000000001";
pub(crate) const PIXEL: &str = "1234567890123456";
pub(crate) const SECOND: &str = "2222222222222222";

/// Letters and digits that no word of ours is made of, so that five of a token in a row are found
/// in a token only.
const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ0123456789";

pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
    /// More lines of configuration.
    pub(crate) extra: String,
    /// Variables of the environment.
    pub(crate) env: BTreeMap<String, String>,
    /// Every secret there is, with the shortest part of it that gives it away.
    secrets: Mutex<Vec<(String, usize)>>,
    minted: Mutex<u64>,
    /// Everything that any command has said.
    said: Mutex<Vec<String>>,
}

/// What came of a command.
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The check of the first finding that failed.
    pub(crate) fn failed(&self) -> String {
        let json = self.json();
        let findings = json["findings"].as_array().unwrap();
        let failed = findings.iter().find(|one| one["mark"] == "fail");
        failed.map_or_else(String::new, |one| one["check"].as_str().unwrap().to_owned())
    }

    /// The finding with that check.
    pub(crate) fn finding(&self, check: &str) -> Value {
        let json = self.json();
        let findings = json["findings"].as_array().unwrap();
        let found = findings.iter().find(|one| one["check"] == check);
        found
            .cloned()
            .unwrap_or_else(|| panic!("no {check}: {self:?}"))
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Self {
        let said = format!("{}{}", self.out, self.err);
        assert!(said.contains(part), "no {part:?}: {self:?}");
        self
    }
}

impl std::fmt::Debug for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}\n{}", self.code, self.out, self.err)
    }
}

impl Place {
    pub(crate) async fn new() -> Self {
        let place = Self::bare().await;
        place
            .run(&["init", "--key-file", &place.path("vault.key")], "")
            .done();
        place
    }

    /// Without a key.
    pub(crate) async fn bare() -> Self {
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            world: toml::from_str::<World>(WORLD).unwrap(),
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings, Clock::Real).await.unwrap();
        let secrets = [SECRET, OTHER_SECRET].map(|secret| (secret.to_owned(), 8));
        Self {
            dir: tempfile::tempdir().unwrap(),
            sandbox,
            extra: String::new(),
            env: BTreeMap::new(),
            secrets: Mutex::new(secrets.to_vec()),
            minted: Mutex::new(0),
            said: Mutex::default(),
        }
    }

    /// A place whose vault has the app.
    pub(crate) async fn with_app() -> Self {
        let place = Self::new().await;
        place.run(&["app", "add", "--app-id", APP], SECRET).done();
        place
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    pub(crate) fn vault_file(&self) -> PathBuf {
        self.dir.path().join("tokens.vault")
    }

    pub(crate) fn config(&self) -> String {
        let path = self.path("capigate.toml");
        let has_key = self.dir.path().join("vault.key").exists();
        let key = if has_key {
            format!("vault_key = {{ file = \"{}\" }}", self.path("vault.key"))
        } else {
            String::new()
        };
        let text = format!(
            r#"
[graph]
url = "{url}"
dialog_url = "{url}"
[journal]
dir = "{journal}"
[tokens]
vault = "{vault}"
{key}
[pixels.{PIXEL}]
name = "Shop, web"
{extra}
"#,
            url = self.sandbox.url(),
            journal = self.path("journal"),
            vault = self.vault_file().display(),
            extra = self.extra,
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs `capigate token …`, with a text on its standard input; the configuration is named by
    /// itself where the command takes one.
    pub(crate) fn run(&self, words: &[&str], stdin: &str) -> Ran {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if words[0] != "init" {
            words.extend(["--config".to_owned(), self.config()]);
        }
        self.run_as(&words, stdin)
    }

    /// The same, with JSON for an answer.
    pub(crate) fn json(&self, words: &[&str], stdin: &str) -> Ran {
        self.run(&[words, &["--json"]].concat(), stdin)
    }

    pub(crate) fn run_as(&self, words: &[String], stdin: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_capigate"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CAPIGATE_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .arg("token")
            .args(words)
            .envs(&self.env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // a command that needs no input may have ended
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let ended = child.wait_with_output().unwrap();
        let ran = Ran {
            code: ended.status.code().unwrap_or(-1),
            out: String::from_utf8(ended.stdout).unwrap(),
            err: String::from_utf8(ended.stderr).unwrap(),
        };
        let is_revealing = words.iter().any(|word| word == "--reveal");
        if !is_revealing {
            let said = format!("{words:?}\n{}{}", ran.out, ran.err);
            self.said.lock().unwrap().push(said);
        }
        ran
    }

    /// A token of the sandbox with a value of ours.
    pub(crate) fn mint(&self, token: SandboxToken) -> String {
        let mut minted = self.minted.lock().unwrap();
        *minted += 1;
        let mut seed = minted.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let letters = (0..180).map(|_| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(LETTERS[(seed >> 33) as usize % LETTERS.len()])
        });
        let value: String = "EAA".chars().chain(letters).collect();
        let token = SandboxToken {
            value: value.clone(),
            name: if token.name.is_empty() {
                format!("minted-{minted}")
            } else {
                token.name.clone()
            },
            ..token
        };
        self.sandbox.mint_token(token).unwrap();
        self.secrets.lock().unwrap().push((value.clone(), 5));
        value
    }

    /// A token of the system user that may use both pixels.
    pub(crate) fn system_token(&self) -> String {
        self.mint(system_token())
    }

    /// A person's token with so many seconds left.
    pub(crate) fn user_token(&self, seconds: u64) -> String {
        self.mint(SandboxToken {
            kind: TokenKind::User,
            app: Some(APP.to_owned()),
            holder: Some(PERSON.to_owned()),
            scopes: ["ads_management", "pages_show_list"]
                .map(str::to_owned)
                .to_vec(),
            expires_in: Some(Duration::from_secs(seconds)),
            ..SandboxToken::default()
        })
    }

    /// Something else that must not be shown.
    pub(crate) fn hide(&self, secret: &str) {
        self.secrets.lock().unwrap().push((secret.to_owned(), 8));
    }

    /// The fingerprint of a token of the sandbox, by its value.
    pub(crate) fn print_of(value: &str) -> String {
        capigate::secret::Secret::new(value.to_owned()).fingerprint()
    }

    /// The token in the vault, in clear.
    pub(crate) fn reveal(&self, name: &str) -> String {
        let words = ["export-env", name, "--var", "T", "--reveal", "--yes"];
        let ran = self.run(&words, "").done();
        let value = ran.out.trim().strip_prefix("T='").unwrap();
        value.strip_suffix('\'').unwrap().to_owned()
    }

    /// Makes a rotation as long ago as that.
    pub(crate) fn age_retiring(&self, pixel: &str, ago: Duration) {
        self.change(|contents| {
            let slots = contents.pixels.get_mut(&pixel.parse().unwrap()).unwrap();
            let retiring = slots.retiring.as_mut().unwrap();
            retiring.since.0 -= i64::try_from(ago.as_millis()).unwrap();
        });
    }

    /// Changes the vault, as a gateway may do beside a command.
    pub(crate) fn change(&self, work: impl FnOnce(&mut Contents)) {
        let key = std::fs::read_to_string(self.path("vault.key")).unwrap();
        let key = capigate::secret::Secret::new(key.trim().to_owned());
        let vault = Vault::new(self.vault_file(), &key).unwrap();
        vault
            .update(|contents| -> Result<(), VaultError> {
                work(contents);
                Ok(())
            })
            .unwrap();
    }

    /// Runs a command, and changes the vault while it waits for Meta's word on a token.
    pub(crate) fn while_asking(
        &self,
        words: &[&str],
        stdin: &str,
        work: impl FnOnce(&mut Contents),
    ) -> Ran {
        let slow = json!({"do": "slow", "edge": "debug_token", "ms": 3_000});
        let slow: Fault = serde_json::from_value(slow).unwrap();
        self.sandbox.add_fault(slow);
        std::thread::scope(|scope| {
            let ran = scope.spawn(|| self.json(words, stdin));
            while !self.sandbox.faults().is_empty() && !ran.is_finished() {
                std::thread::sleep(Duration::from_millis(10));
            }
            self.change(work);
            ran.join().unwrap()
        })
    }

    /// The tokens in the vault, by name, with everything that is listed of them.
    pub(crate) fn listed(&self) -> BTreeMap<String, Value> {
        let ran = self.json(&["list"], "").done();
        let json = ran.json();
        let all = json["tokens"].as_array().unwrap().iter();
        all.map(|one| (one["name"].as_str().unwrap().to_owned(), one.clone()))
            .collect()
    }

    /// What each token serves, as `name: slot of pixel`.
    pub(crate) fn slots(&self) -> Vec<String> {
        let mut slots = Vec::new();
        for (name, token) in self.listed() {
            for pixel in token["pixels"].as_array().unwrap() {
                let (id, slot) = (pixel["pixel"].as_str(), pixel["slot"].as_str());
                slots.push(format!("{name}: {} of {}", slot.unwrap(), id.unwrap()));
            }
        }
        slots
    }
}

/// Nothing that any command has said gives a secret away, also those that came into the vault by
/// themselves.
impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let vault = std::fs::read(self.vault_file()).unwrap_or_default();
        let said = self.said.lock().unwrap();
        for (secret, shortest) in self.secrets.lock().unwrap().iter() {
            let bytes: Vec<char> = secret.chars().collect();
            let (head, tail) = (&secret[..4], &secret[secret.len() - 4..]);
            let mask = format!("{head}…{tail} (sha256:");
            for text in said.iter() {
                let text = text.replace(&mask, "");
                for part in bytes.windows(*shortest) {
                    let part: String = part.iter().collect();
                    assert!(!text.contains(&part), "{part} of a secret is in {text}");
                }
            }
            let lies = vault
                .windows(12)
                .any(|bytes| bytes == &secret.as_bytes()[..12]);
            assert!(!lies, "a secret lies in the vault in clear");
        }
        assert_eq!(self.sandbox.violations(), []);
    }
}

pub(crate) fn system_token() -> SandboxToken {
    SandboxToken {
        app: Some(APP.to_owned()),
        holder: Some(ADMIN.to_owned()),
        scopes: vec!["ads_management".to_owned()],
        ..SandboxToken::default()
    }
}

/// Days, in seconds.
pub(crate) fn days(count: u64) -> u64 {
    count * 86_400
}
