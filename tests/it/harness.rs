//! Boots a gateway and a simulated Graph, speaks in the words of the domain, and checks at the end
//! what every test must leave behind.

use std::sync::Arc;
use std::time::Duration;

use capigate::app::reload::{ReloadError, Report, Trigger};
use capigate::app::sockets::Sockets;
use capigate::app::{App, Ended, Plan, Profile, Running};
use capigate::config::{Config, KeyRef, Layers, Pixel, SecretRef, Source};
use capigate::journal::segment::disk::{Disk, RealDisk};
use capigate::sandbox::{Sandbox, SandboxSettings, SandboxToken};
use capigate::time::Clock;
use serde_json::{Value, json};

/// The pixel most tests post to.
pub(crate) const PIXEL: &str = "1234567890123456";
/// Another pixel, with another token; the source may post to both.
pub(crate) const OTHER: &str = "2222222222222222";
/// A configured pixel the source has no right to.
pub(crate) const FOREIGN: &str = "3333333333333333";
/// The ingest key.
pub(crate) const KEY: &str = "the-ingest-key";
/// A key of no source, for tests that add one.
pub(crate) const OTHER_KEY: &str = "the-other-ingest-key";

pub(crate) struct Gateway {
    running: Option<Running>,
    pub(crate) sandbox: Sandbox,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    /// What the next gateway is for.
    pub(crate) profile: Profile,
    disk: Arc<dyn Disk>,
    dir: tempfile::TempDir,
    finished: bool,
    /// What the test sends on purpose though Graph must not see it: kinds, and the ends of paths.
    pub(crate) violations: Vec<(&'static str, &'static str)>,
}

/// What the gateway answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Value,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// A gateway with a changed configuration.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_disk(change, Arc::new(RealDisk), Clock::Real).await
    }

    /// A gateway on a disk and a clock of the test's own.
    pub(crate) async fn with_disk(
        change: impl FnOnce(&mut Config),
        disk: Arc<dyn Disk>,
        clock: Clock,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = SandboxSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tokens: vec![
                SandboxToken::new("first", "sandbox-token"),
                SandboxToken {
                    app_secret: Some("the-app-secret".to_owned()),
                    ..SandboxToken::new("second", "second-token")
                },
            ],
            ..SandboxSettings::default()
        };
        let sandbox = Sandbox::start(settings, clock.clone()).await.unwrap();
        let mut config = Config::default();
        config.listen.ingest = "127.0.0.1:0".parse().unwrap();
        config.listen.admin = "127.0.0.1:0".parse().unwrap();
        config.journal.dir = dir.path().join("journal");
        config.journal.segment_bytes = "1MiB".parse().unwrap();
        config.lanes.linger = "20ms".parse().unwrap();
        config.lanes.backoff_min = "20ms".parse().unwrap();
        config.lanes.backoff_max = "100ms".parse().unwrap();
        config.lanes.throttle_min = "20ms".parse().unwrap();
        config.lanes.throttle_max = "100ms".parse().unwrap();
        config.lanes.probe_interval = "1s".parse().unwrap();
        config.graph.url = sandbox.url().parse().unwrap();
        // two pixels have one, and nobody needs to be told
        config.tokens.allow_shared = true;
        config.shutdown.grace = "0s".parse().unwrap();
        config.reload.watch = false;
        config.reload.debounce = "20ms".parse().unwrap();
        let pixel = |token: &str, app_secret: Option<&str>| Pixel {
            token: Some(SecretRef::Env(token.to_owned())),
            app_secret: app_secret.map(|name| SecretRef::Env(name.to_owned())),
            ..Pixel::default()
        };
        config
            .pixels
            .insert(PIXEL.parse().unwrap(), pixel("FIRST_TOKEN", None));
        config.pixels.insert(
            OTHER.parse().unwrap(),
            pixel("SECOND_TOKEN", Some("APP_SECRET")),
        );
        config
            .pixels
            .insert(FOREIGN.parse().unwrap(), pixel("FIRST_TOKEN", None));
        let source = Source {
            keys: vec![KeyRef::Secret(SecretRef::Env("KEY".to_owned()))],
            pixels: [PIXEL.parse().unwrap(), OTHER.parse().unwrap()].into(),
            rate: "1000000/s".parse().unwrap(),
            ..Source::default()
        };
        config.sources.insert("shop".to_owned(), source);
        change(&mut config);
        let mut gateway = Self {
            running: None,
            sandbox,
            config,
            clock,
            http: reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([])
                .build()
                .unwrap(),
            profile: Profile::Development,
            disk,
            dir,
            finished: false,
            violations: Vec::new(),
        };
        gateway.up().await;
        gateway
    }

    /// Starts the gateway (again) on the same journal.
    pub(crate) async fn up(&mut self) {
        self.try_up().await.unwrap();
    }

    /// The same, or why it does not start.
    pub(crate) async fn try_up(&mut self) -> anyhow::Result<()> {
        let env = [
            ("FIRST_TOKEN", "sandbox-token"),
            ("SECOND_TOKEN", "second-token"),
            ("APP_SECRET", "the-app-secret"),
            ("KEY", KEY),
            ("OTHER_KEY", OTHER_KEY),
        ];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let layers = Layers {
            files: vec![self.config_file()],
            env: env.into(),
        };
        self.write_config();
        let look_up = |name: &str| layers.env.get(name).cloned();
        let plan = Plan {
            config: self.config.clone(),
            secrets: self.config.secrets(&look_up).unwrap(),
            layers: Some(layers),
            log: None,
            sockets: Sockets::default(),
            clock: self.clock.clone(),
            disk: Arc::clone(&self.disk),
            profile: self.profile,
        };
        let app = App::build_from(plan).await?;
        self.running = Some(app.start()?);
        Ok(())
    }

    /// Stops the gateway in order; what is not sent stays in the journal.
    pub(crate) async fn down(&mut self) -> Ended {
        self.running.take().unwrap().stop().await
    }

    /// Starts another gateway that waits for the journal (`journal.lock_wait`), and stops the
    /// first in order.
    pub(crate) async fn taken_over(&mut self) {
        let first = self.running.take().unwrap();
        let ((), ended) = tokio::join!(self.up(), first.stop());
        assert_eq!(ended, Ended::Clean);
    }

    pub(crate) fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// The file a reload reads.
    pub(crate) fn config_file(&self) -> std::path::PathBuf {
        self.dir.path().join("capigate.toml")
    }

    /// Puts what is in `config` into the file.
    pub(crate) fn write_config(&self) {
        std::fs::write(self.config_file(), toml::to_string(&self.config).unwrap()).unwrap();
    }

    /// Changes the configuration while the gateway runs.
    pub(crate) async fn reload(
        &mut self,
        change: impl FnOnce(&mut Config),
    ) -> Result<Report, ReloadError> {
        change(&mut self.config);
        self.write_config();
        self.running().reloader().reload(Trigger::Admin).await
    }

    /// The directory of the journal.
    pub(crate) fn journal_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("journal")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().ingest_addr())
    }

    /// Posts events to the first pixel with the right key.
    pub(crate) async fn post(&self, events: Vec<Value>) -> Answer {
        self.post_body(PIXEL, &json!({ "data": events })).await
    }

    /// Posts a whole body with the right key.
    pub(crate) async fn post_body(&self, pixel: &str, body: &Value) -> Answer {
        self.send(
            self.http
                .post(self.url(&format!("/v26.0/{pixel}/events")))
                .bearer_auth(KEY)
                .json(body),
        )
        .await
    }

    /// Posts bytes, as JSON says the header, to the first pixel with the right key.
    pub(crate) async fn post_bytes(&self, bytes: impl Into<reqwest::Body>) -> Answer {
        let request = self
            .http
            .post(self.url(&format!("/v26.0/{PIXEL}/events")))
            .bearer_auth(KEY);
        self.send(
            request
                .header("content-type", "application/json")
                .body(bytes),
        )
        .await
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        Answer {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap().parse().unwrap()),
            body: response.json().await.unwrap(),
        }
    }

    /// A page of the admin listener: status and text.
    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        let url = format!("http://{}{path}", self.running().admin_addr());
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// `/readyz`, read.
    pub(crate) async fn readyz(&self) -> (u16, Value) {
        let (status, text) = self.page("/readyz").await;
        (status, serde_json::from_str(&text).unwrap())
    }

    /// Waits until Graph has accepted `events` in all.
    pub(crate) async fn delivered(&self, events: u64) {
        let wait = self.sandbox.accepted_at_least(events);
        if tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .is_err()
        {
            panic!(
                "{:?} instead of {events} events; lanes: {:?}",
                self.sandbox.totals(),
                self.running().lanes().snapshot()
            );
        }
    }

    /// Waits until `ready` gives something.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        mut ready: impl AsyncFnMut(&Self) -> Option<T>,
    ) -> T {
        for _ in 0..2000 {
            if let Some(found) = ready(self).await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "still waiting for: {what}; lanes: {:?}",
            self.running().lanes().snapshot()
        );
    }

    /// Waits until nothing is left in the journal.
    pub(crate) async fn drained(&self) {
        self.until("an empty journal", async |gateway| {
            (gateway.running().journal().depth().records == 0).then_some(())
        })
        .await;
    }

    /// The sum of a metric over its labels, from the metrics page.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        sum(&self.page("/metrics").await.1, name)
    }

    /// `accepted + recovered = delivered + dead + in journal`, of this life of the gateway. A
    /// delivery may fall between two lines of a page, so a few pages are looked at.
    pub(crate) async fn books_balance(&self) {
        let mut books = Vec::new();
        for _ in 0..20 {
            let (_, page) = self.page("/metrics").await;
            books = [
                "capigate_accepted_total",
                "capigate_journal_recovered",
                "capigate_delivered_total",
                "capigate_dead_total",
                "capigate_journal_records",
            ]
            .map(|name| sum(&page, name))
            .to_vec();
            if books[0] + books[1] == books[2] + books[3] + books[4] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("accepted + recovered != delivered + dead + in journal: {books:?}");
    }

    /// Everything went out; nothing leaked; the books balance; the gateway stops in order.
    pub(crate) async fn finish(mut self) {
        self.drained().await;
        self.finish_with_backlog().await;
        self.finished = true;
    }

    /// As [`Gateway::finish`], for tests that leave events in the journal on purpose.
    pub(crate) async fn finish_with_backlog(&mut self) {
        self.books_balance().await;
        assert_eq!(
            self.metric("capigate_journal_leases_dropped_total").await,
            0,
            "a lease was dropped"
        );
        assert_eq!(
            self.metric("capigate_journal_corrupt_total").await,
            0,
            "the journal found damage"
        );
        let mut violations = self.sandbox.violations();
        violations.retain(|seen| {
            let is = |(kind, path): &(&str, &str)| *kind == seen.kind && seen.path.ends_with(path);
            !self.violations.iter().any(is)
        });
        assert_eq!(violations, [], "the sandbox saw what Graph must not");
        self.finished = true;
        assert_eq!(self.down().await, Ended::Clean);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        assert!(
            self.finished || std::thread::panicking(),
            "a test must end with finish() or finish_with_backlog()"
        );
    }
}

/// Adds up the lines of one metric.
fn sum(page: &str, name: &str) -> u64 {
    let of_name = |line: &&str| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    };
    page.lines()
        .filter(of_name)
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64)
        .sum()
}

/// A good purchase with its own id.
pub(crate) fn purchase(id: &str) -> Value {
    json!({
        "event_name": "Purchase",
        "event_time": Clock::Real.now().secs() - 5,
        "event_id": id,
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": {"em": format!(" {id}@Example.com "), "client_user_agent": "tests"},
        "custom_data": {"value": 12.5, "currency": "EUR"}
    })
}

/// `count` good purchases with ids `prefix-0`, `prefix-1` and so on.
pub(crate) fn purchases(prefix: &str, count: usize) -> Vec<Value> {
    (0..count)
        .map(|n| purchase(&format!("{prefix}-{n}")))
        .collect()
}
