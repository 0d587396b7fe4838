//! What an operator may write under `[alerts]`.

use super::*;
use crate::config::Config;

fn faults(text: &str) -> Vec<String> {
    let alerts: Alerts = toml::from_str(text).unwrap();
    let mut faults = Vec::new();
    alerts.validate(&mut faults);
    faults.into_iter().map(|fault| fault.key).collect()
}

#[test]
fn what_goes_together_is_asked_for() {
    let mail = "email_to = [\"a@b.example\"]\nemail_from = \"a@b.example\"\nemail_host = \"mail.example\"\n";
    for (text, want) in [
        ("", &[][..]),
        (mail, &[]),
        (
            "email_to = [\"a@b.example\"]",
            &["alerts.email_from", "alerts.email_host"],
        ),
        (
            &format!("{mail}email_username = \"a\""),
            &["alerts.email_password"],
        ),
        (
            &format!("{mail}email_password = {{ env = \"P\" }}"),
            &["alerts.email_username"],
        ),
        (&format!("{mail}email_port = 0"), &["alerts.email_port"]),
        (&format!("{mail}email_port = 65536"), &["alerts.email_port"]),
        (
            &format!("{mail}email_tls = \"none\""),
            &["alerts.email_tls"],
        ),
        ("email_tls = \"none\"\nemail_host = \"localhost\"", &[]),
        ("email_tls = \"none\"\nemail_host = \"::1\"", &[]),
        (
            "email_tls = \"none\"\nemail_host = \"127.0.0.1.example\"",
            &["alerts.email_tls"],
        ),
        ("email_host = \"mail.example:25\"", &["alerts.email_host"]),
        ("email_host = \"a\\nb\"", &["alerts.email_host"]),
        (
            "email_username = \"a\\nb\"\nemail_password = { env = \"P\" }",
            &["alerts.email_username"],
        ),
        ("instance = \"a\\nb\"", &["alerts.instance"]),
        ("repeat = \"1s\"", &["alerts.repeat"]),
        ("max_per_hour = 0", &["alerts.max_per_hour"]),
        ("give_up = \"8d\"", &["alerts.give_up"]),
        ("timeout = \"6m\"", &["alerts.timeout"]),
        ("webhook_url = \"https://a.example/x/\"", &[]),
        ("webhook_url = \"http://127.0.0.1:9/x\"", &[]),
        (
            "webhook_url = \"http://a.example/x\"",
            &["alerts.webhook_url"],
        ),
        (
            "webhook_url = \"http://a.example/x\"\nwebhook_allow_http = true",
            &[],
        ),
    ] {
        assert_eq!(faults(text), want, "{text}");
    }
}

#[test]
fn an_address_is_plain_or_a_place_and_a_refused_one_is_not_shown() {
    let read = |text: &str| toml::from_str::<Alerts>(&format!("webhook_url = {text}"));
    let plain = read("\"https://a.example/x/\"").unwrap().webhook_url;
    assert_eq!(
        plain,
        Some(WebhookUrl::Plain("https://a.example/x/".to_owned()))
    );
    assert!(matches!(
        read("{ env = \"URL\" }").unwrap().webhook_url,
        Some(WebhookUrl::Secret(_))
    ));
    for bad in [
        "\"https://canary:canary@a.example\"",
        "\"https://a.example/?canary\"",
        "\"canary\"",
        "{ env = \"canary\" }",
        "{ env = \"A\", file = \"/canary\" }",
        "7",
    ] {
        let error = read(bad).unwrap_err();
        assert!(!error.message().contains("canary"), "{error}");
    }
    let text = "[alerts]\nwebhook_url = \"https://a.example/?canary\"\nemail_to = [\"canary\"]\n";
    let file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file.as_file(), text.as_bytes()).unwrap();
    let errors = Config::load(&[file.path().to_owned()], std::iter::empty())
        .unwrap_err()
        .to_string();
    assert!(
        errors.contains("alerts.webhook_url: expected an https address"),
        "{errors}"
    );
    assert!(
        errors.contains("alerts.email_to[0]: expected a list of e-mail addresses"),
        "{errors}"
    );
    assert!(!errors.contains("canary"), "{errors}");
}

#[test]
fn a_secret_address_is_held_to_https_too() {
    let secrets = |url: &str, more: &str| {
        let text = format!("[alerts]\nwebhook_url = {{ env = \"URL\" }}\n{more}");
        let config: Config = toml::from_str(&text).unwrap();
        config.secrets(&|_| Some(url.to_owned()))
    };
    let url = "https://hooks.example/canary?key=canary";
    let read = secrets(url, "").unwrap().alerts.webhook_url.unwrap();
    assert_eq!(read.expose(), url);
    secrets("http://10.0.0.1/canary", "webhook_allow_http = true").unwrap();
    for bad in ["http://10.0.0.1/canary", "canary", "ftp://canary"] {
        let errors = secrets(bad, "").unwrap_err().to_string();
        assert!(
            errors.contains(
                "alerts.webhook_url: the environment variable URL holds no https address"
            ),
            "{errors}"
        );
        assert!(!errors.contains("canary"), "{errors}");
    }
}

#[test]
fn authorities_are_read_and_junk_is_a_fault() {
    let file = |name: &str| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tls/").to_owned() + name;
    let roots = |path: String| {
        let alerts = Alerts {
            ca: Some(path.into()),
            ..Alerts::default()
        };
        alerts.roots().map(|roots| roots.len())
    };
    assert_eq!(roots(file("cert.pem")), Ok(1));
    for bad in ["key.pem", "none.pem", "."] {
        assert_eq!(roots(file(bad)).unwrap_err().key, "alerts.ca", "{bad}");
    }
    assert!(Alerts::default().roots().unwrap().is_empty());
}

#[test]
fn the_port_follows_the_kind_of_tls() {
    for (text, port) in [
        ("", 587),
        ("email_tls = \"starttls\"", 587),
        ("email_tls = \"tls\"", 465),
        ("email_tls = \"none\"", 25),
        ("email_tls = \"tls\"\nemail_port = 2465", 2465),
    ] {
        assert_eq!(toml::from_str::<Alerts>(text).unwrap().port(), port);
    }
}

#[test]
fn mail_addresses_read_back() {
    for good in ["ops@example.com", "Jane Doe <jane@example.com>"] {
        assert_eq!(good.parse::<MailAddress>().unwrap().to_string(), good);
    }
    for bad in [
        "",
        "ops",
        "ops@example.com\r\nBcc: x@y.z",
        "a@b.example, c@d.example",
    ] {
        assert_eq!(bad.parse::<MailAddress>(), Err(MailAddressError), "{bad:?}");
    }
}
