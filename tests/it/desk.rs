//! A machine with a configuration and a vault beside a made-up Facebook, for the commands that
//! look after tokens.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use capigate::sandbox::{AccountCall, Edge, Place, Sandbox, SandboxSettings, World};
use capigate::secret::Secret;
use capigate::time::{Clock, UnixMs};
use capigate::tokens::{AppRecord, Contents, Vault, VaultError};
use serde_json::Value;

use crate::support::PIXEL;

pub(crate) const APP: &str = "1000000000000001";
pub(crate) const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";

/// One of each, as in `config/sandbox-world.toml`.
const WORLD: &str = r#"
[[apps]]
id = "1000000000000001"
secret = "0123456789abcdef0123456789abcdef"
name = "Shop events"
business = "2000000000000001"
redirect_uris = ["https://gate.example/callback"]
[[apps.configs]]
id = "1100000000000001"
scopes = ["ads_management"]
system_user = "61550000000001"
[[businesses]]
id = "2000000000000001"
name = "Shop Inc."
[[people]]
id = "3000000000000001"
name = "Alex Example"
businesses = ["2000000000000001"]
pixels = ["1234567890123456"]
[[system_users]]
id = "61550000000001"
name = "Gateway"
role = "ADMIN"
business = "2000000000000001"
apps = ["1000000000000001"]
pixels = ["1234567890123456"]
[[pixels]]
id = "1234567890123456"
name = "Shop website"
business = "2000000000000001"
"#;

pub(crate) fn world() -> World {
    toml::from_str(WORLD).unwrap()
}

pub(crate) struct Site {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
    /// More lines of configuration.
    pub(crate) extra: String,
    /// Whether the configuration names the vault and its key.
    pub(crate) has_key: bool,
    /// Variables of the environment of each command.
    pub(crate) vars: Vec<(&'static str, String)>,
}

/// What a command said, and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    out: Arc<Mutex<String>>,
    err: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Site {
    pub(crate) async fn new(world: World) -> Self {
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            world,
            ..SandboxSettings::default()
        };
        Self {
            sandbox: Sandbox::start(settings, Clock::Real).await.unwrap(),
            dir: tempfile::tempdir().unwrap(),
            extra: format!("[pixels.{PIXEL}]\nname = \"Example Shop\"\n"),
            has_key: true,
            vars: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file of the key of the vault, which is made if it is not there.
    fn key(&self) -> PathBuf {
        let key = self.path("vault.key");
        if !key.exists() {
            Vault::make_key(&key).unwrap();
        }
        key
    }

    /// The vault of this machine; its key is made with it.
    pub(crate) fn vault(&self) -> Vault {
        let key = std::fs::read_to_string(self.key()).unwrap();
        let key = Secret::new(key.trim().to_owned());
        Vault::new(self.path("tokens.vault"), &key).unwrap()
    }

    pub(crate) fn contents(&self) -> Contents {
        self.vault().read().unwrap()
    }

    /// Puts an app into the vault.
    pub(crate) fn add_app(&self, id: &str, secret: &str) {
        let app = AppRecord {
            secret: Secret::new(secret.to_owned()),
            added_at: UnixMs(1),
        };
        let added = self.vault().update(|contents| -> Result<_, VaultError> {
            contents.apps.insert(id.to_owned(), app);
            Ok(())
        });
        added.unwrap();
    }

    /// The value of a variable.
    pub(crate) fn var(&self, name: &str) -> String {
        let mut vars = self.vars.iter();
        vars.find(|(own, _)| *own == name).unwrap().1.clone()
    }

    pub(crate) fn config(&self) -> PathBuf {
        let path = self.path("capigate.toml");
        let (dir, url) = (self.dir.path().display(), self.sandbox.url());
        let tokens = format!(
            "[tokens]\nvault = \"{dir}/tokens.vault\"\nvault_key = {{ file = \"{dir}/vault.key\" }}\n"
        );
        let tokens = if self.has_key { &tokens } else { "" };
        let text = format!(
            "[graph]\nurl = \"{url}\"\ndialog_url = \"{url}\"\n[journal]\ndir = \"{dir}/journal\"\n{tokens}{}",
            self.extra,
        );
        // a running gateway takes each change for one
        if std::fs::read_to_string(&path).is_ok_and(|old| old == text) {
            return path;
        }
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Starts `capigate` with this configuration.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let config = self.config().display().to_string();
        self.start_bare(&[args, &["--config", &config]].concat())
    }

    /// Starts `capigate` with these arguments alone.
    pub(crate) fn start_bare(&self, args: &[&str]) -> Running {
        self.key();
        let mut command = Command::new(env!("CARGO_BIN_EXE_capigate"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CAPIGATE_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(args)
            .envs(self.vars.iter().cloned())
            // where a command may leave something behind
            .current_dir(self.dir.path())
            // no window is to open on the machine of whoever tests
            .env("PATH", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (out, first) = gather(child.stdout.take().unwrap());
        let (err, second) = gather(child.stderr.take().unwrap());
        Running {
            child,
            out,
            err,
            readers: vec![first, second],
        }
    }

    /// Runs it to its end, with this on standard input.
    pub(crate) fn run(&self, args: &[&str], input: &str) -> Said {
        let mut running = self.start(args);
        running.type_in(input);
        running.end()
    }

    /// Calls to an edge of the made-up Facebook.
    pub(crate) fn calls(&self, edge: Edge) -> Vec<AccountCall> {
        let calls = self.sandbox.account_calls().into_iter();
        calls.filter(|call| call.edge == edge).collect()
    }

    /// That nothing travelled where it must not.
    pub(crate) fn is_careful(&self) {
        assert_eq!(self.sandbox.violations(), []);
        for call in self.calls(Edge::Oauth) {
            let in_body = |name: &str| {
                let mut own = call.params.iter().filter(|param| param.name == name);
                own.all(|param| param.place == Place::Body)
            };
            assert!(in_body("code") && in_body("client_secret"), "{call:?}");
        }
    }
}

fn gather(from: impl Read + Send + 'static) -> (Arc<Mutex<String>>, JoinHandle<()>) {
    let text = Arc::new(Mutex::new(String::new()));
    let copy = Arc::clone(&text);
    let reader = std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = String::new();
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
            copy.lock().unwrap().push_str(&line);
            line.clear();
        }
    });
    (text, reader)
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn type_in(&mut self, input: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        // it may have ended without reading
        let _ = stdin.write_all(input.as_bytes());
        let _ = stdin.flush();
    }

    /// Waits until a line for which `find` gives something was printed.
    pub(crate) fn until<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            for text in [&self.out, &self.err] {
                let text = text.lock().unwrap();
                let whole = text.rfind('\n').map_or("", |end| &text[..end]);
                if let Some(found) = whole.lines().find_map(&find) {
                    return found;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still waiting for {what}: {:?} {:?}", self.out, self.err);
    }

    /// The address of the dialog that it shows.
    pub(crate) fn dialog(&self) -> String {
        self.until("the dialog", |line| {
            let line = line.trim();
            line.contains("/dialog/oauth?").then(|| line.to_owned())
        })
    }

    /// Closes its standard input, and waits for its end.
    pub(crate) fn end(mut self) -> Said {
        drop(self.child.stdin.take());
        let end = Instant::now() + Duration::from_mins(1);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end: {:?}", self.out);
            std::thread::sleep(Duration::from_millis(10));
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let said = Said {
            code: status.code().unwrap(),
            out: self.out.lock().unwrap().clone(),
            err: self.err.lock().unwrap().clone(),
        };
        said.is_discreet();
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Said {
    /// That no token shows more than the four characters at each end, and no app secret anything.
    fn is_discreet(&self) {
        for text in [&self.out, &self.err] {
            assert!(!text.contains(&APP_SECRET[..12]), "{self:?}");
            for (at, _) in text.match_indices("EAA") {
                let shown = text[at..]
                    .chars()
                    .take_while(char::is_ascii_alphanumeric)
                    .count();
                assert!(shown <= 4, "{self:?}");
            }
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// That each of these is said, on whichever side.
    pub(crate) fn says(&self, parts: &[&str]) {
        for part in parts {
            let said = self.out.contains(part) || self.err.contains(part);
            assert!(said, "{part:?} is not in {self:?}");
        }
    }
}
