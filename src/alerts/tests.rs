//! The room against servers on this machine.

mod mail;
mod server;
mod web;

use super::*;

use server::{certificate, chat, web_answer};

const START: UnixMs = UnixMs(1_795_305_600_500);

fn settings() -> Settings {
    Settings {
        repeat: Duration::from_hours(24),
        max_per_hour: 20,
        give_up: Duration::from_hours(1),
        timeout: Duration::from_secs(20),
        instance: "shop-eu".to_owned(),
        roots: Vec::new(),
        webhook: None,
        email: None,
    }
}

fn hook(url: &str) -> webhook::Settings {
    webhook::Settings {
        url: secret(url),
        secret: None,
    }
}

fn secret(text: &str) -> crate::secret::Secret {
    crate::secret::Secret::new(text.to_owned())
}

fn alerts(settings: Settings, file: Option<PathBuf>) -> Alerts {
    Alerts::new(
        settings,
        file,
        Clock::manual(START),
        Metrics::new().unwrap(),
    )
}

fn alert(key: &str) -> Alert {
    Alert {
        key: key.to_owned(),
        severity: Severity::Warning,
        title: format!("about {key}"),
        text: "what happened".to_owned(),
        next: "what to do".to_owned(),
        pixels: Vec::new(),
        token: None,
        at: START,
    }
}

impl Alerts {
    fn counted(&self, channel: &str, outcome: &str) -> u64 {
        let labels = [channel, outcome];
        self.0.metrics.alerts.with_label_values(&labels).get()
    }

    /// The one report of a test.
    async fn tested(&self) -> Result<(), ChannelError> {
        let mut reports = self.test().await;
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.remove(0).outcome
    }
}

#[tokio::test]
async fn one_channel_does_not_wait_for_the_other_and_a_restart_tells_nothing_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alerts.json");
    let (url, mut web) = server::web(|_| web_answer("200 OK", "")).await;
    // accepts, and never says a word
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let with = || Settings {
        webhook: Some(hook(&url)),
        email: Some(mail::settings(silent.local_addr().unwrap().port())),
        ..settings()
    };
    let first = alerts(with(), Some(file.clone()));
    first.raise(alert("before"));
    first.start();
    first.raise(alert("a"));
    first.raise(alert("a"));
    first.clear("before");
    let mut told = Vec::new();
    for _ in 0..3 {
        let body = web.recv().await.unwrap().body;
        told.push((
            body["key"].as_str().unwrap().to_owned(),
            body["resolved"] == true,
        ));
    }
    let want = [("before", false), ("a", false), ("before", true)];
    assert_eq!(told, want.map(|(key, over)| (key.to_owned(), over)));
    assert_eq!(first.0.metrics.alerts_raised.get(), 1);
    assert!(
        !first.stop(Duration::from_millis(100)).await,
        "the mail is still being tried"
    );
    assert_eq!(first.counted("log", "sent"), 3);
    assert_eq!(first.counted("webhook", "sent"), 3);
    assert_eq!(first.counted("email", "sent"), 0);

    let second = alerts(
        Settings {
            email: None,
            ..with()
        },
        Some(file),
    );
    second.start();
    second.raise(alert("a"));
    second.raise(alert("b"));
    assert_eq!(web.recv().await.unwrap().body["key"], "b");
    second.clear("a");
    assert_eq!(web.recv().await.unwrap().body["resolved"], true);
    assert!(second.stop(Duration::from_secs(5)).await);
    let left = std::fs::read_to_string(dir.path().join("alerts.json")).unwrap();
    assert!(
        left.contains("about b") && !left.contains("about a"),
        "{left}"
    );
}

#[tokio::test]
async fn what_is_too_much_is_held_back_and_what_finds_no_room_is_counted() {
    let settings = Settings {
        max_per_hour: MAX_QUEUED + 2,
        webhook: Some(hook("http://127.0.0.1:9/")),
        ..settings()
    };
    let alerts = alerts(settings, None);
    for n in 0..MAX_QUEUED + 7 {
        alerts.raise(alert(&format!("k{n}")));
    }
    assert_eq!(alerts.counted("log", "sent"), MAX_QUEUED as u64 + 7);
    assert_eq!(alerts.counted("webhook", "failed"), 2);
    assert_eq!(alerts.counted("webhook", "held_back"), 5);
    assert_eq!(alerts.counted("email", "held_back"), 0);
}

#[tokio::test]
async fn without_a_channel_the_log_is_enough_and_a_new_one_is_used_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("alerts.json");
    let alerts = alerts(settings(), Some(file.clone()));
    alerts.start();
    assert!(alerts.test().await.is_empty());
    alerts.raise(alert("a"));
    let (url, mut web) = server::web(|_| web_answer("204 No Content", "")).await;
    alerts.apply(Settings {
        webhook: Some(hook(&url)),
        ..settings()
    });
    alerts.raise(alert("a"));
    alerts.raise(alert("b"));
    assert_eq!(web.recv().await.unwrap().body["key"], "b");
    assert!(alerts.stop(Duration::from_secs(5)).await);
    let written = std::fs::read_to_string(file).unwrap();
    assert!(
        written.contains("about a") && written.contains("about b"),
        "{written}"
    );
}
