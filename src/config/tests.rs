//! What an operator gets to read when something is wrong.

use std::io::Write;

use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;

const DIGEST: &str = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
const GOOD: &str = r#"
[pixels.1]
token = { env = "T1" }
[sources.shop]
keys = [{ env = "K1" }]
pixels = ["1"]
"#;

fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    file.as_file().write_all(text.as_bytes()).unwrap();
    file
}

fn load(texts: &[&str], env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let files: Vec<NamedTempFile> = texts.iter().map(|text| file(text)).collect();
    let paths: Vec<_> = files.iter().map(|f| f.path().to_owned()).collect();
    let env = env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    Config::load(&paths, env)
}

/// The faults of one file and the environment: key, line or variable, what was said.
fn faults(text: &str, env: &[(&str, &str)]) -> Vec<(String, String, String)> {
    let errors = load(&[text], env).expect_err("it should not load");
    assert_eq!(errors.to_string().lines().count(), errors.faults.len());
    let short = |fault: Fault| {
        let at = fault.origin.rsplit('/').next().unwrap_or_default();
        let at = at.split_once(':').map_or(at, |(_, line)| line).to_owned();
        let got = fault.got.map(|got| format!("{got}: ")).unwrap_or_default();
        (fault.key, at, got + &fault.expected)
    };
    errors.faults.into_iter().map(short).collect()
}

/// The one fault of a text.
fn fault(text: &str) -> (String, String, String) {
    let mut all = faults(text, &[]);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(load(&[], &[]).unwrap(), Config::default());
    assert_eq!(
        load(&[""], &[("HOME", "/"), ("CAPIGATE_X", "1")]).unwrap(),
        Config::default()
    );
}

#[test]
fn later_layers_win_key_by_key() {
    let config = load(
        &[
            "[lanes]\nlinger = \"1s\"\nmax_events = 10\nrate = \"1/s\"\n",
            "[lanes]\nmax_events = 20\nrate = \"2/s\"\n",
        ],
        &[("CAPIGATE__LANES__RATE", "3/s")],
    )
    .unwrap();
    assert_eq!(config.lanes.linger, units::Span::from_secs(1));
    assert_eq!(config.lanes.max_events, 20);
    assert_eq!(config.lanes.rate.to_string(), "3/s");
    assert_eq!(config.lanes.max_bytes, Lanes::default().max_bytes);
}

#[test]
fn a_table_that_is_one_value_is_replaced_as_a_whole() {
    let config = load(
        &[
            "[pixels.1]\ntoken = { file = \"/t\" }\napp_secret = { file = \"/a\" }\n",
            "[pixels.1]\napp_secret = { env = \"A\" }\n",
        ],
        &[
            ("CAPIGATE__PIXELS__1__TOKEN__ENV", "T"),
            ("CAPIGATE__LISTEN__TLS__CERT", "/c"),
            ("CAPIGATE__LISTEN__TLS__KEY", "/k"),
        ],
    )
    .unwrap();
    let pixel = &config.pixels[&"1".parse().unwrap()];
    assert_eq!(pixel.token, Some(SecretRef::Env("T".to_owned())));
    assert_eq!(pixel.app_secret, Some(SecretRef::Env("A".to_owned())));
    assert!(config.listen.tls.is_some());
}

#[test]
fn a_fault_is_one_line() {
    for text in [
        "\"a\\nb\" = 1",
        "[lanes]\nlinger = \"1\\n2\"",
        "[pixels.\"1\\n2\"]",
        "[lanes]\n\"x\\r\\ny\" = \"\"\"a\nb\"\"\"",
    ] {
        fault(text);
    }
}

#[test]
fn the_environment_can_set_every_type() {
    let config = load(
        &[],
        &[
            ("CAPIGATE__INGEST__MAX_CONNECTIONS", "17"),
            ("CAPIGATE__INGEST__MAX_BODY", "9000000"),
            ("CAPIGATE__LISTEN__ADMIN", "0.0.0.0:1"),
            ("CAPIGATE__LISTEN__TLS", r#"{ cert = "/c", key = "/k" }"#),
            ("CAPIGATE__GRAPH__ALLOW_HTTP", "true"),
            ("CAPIGATE__PIXELS", r#"{ 7 = { token = { env = "T7" } } }"#),
            ("CAPIGATE__PIXELS__8__TOKEN__FILE", "/t8"),
            ("CAPIGATE__PIXELS__8__TEST_EVENT_CODE", "12345"),
            (
                "CAPIGATE__SOURCES__SHOP__KEYS",
                r#"[{ env = "K" }, { file = "/k" }]"#,
            ),
            ("CAPIGATE__SOURCES__SHOP__PIXELS", r#"["7", "8"]"#),
            ("CAPIGATE__SOURCES__SHOP__STRICT", "true"),
            (
                "CAPIGATE__LANES__WEIGHTS",
                r#"{ Purchase = 7, "my.own Event" = 2 }"#,
            ),
        ],
    )
    .unwrap();
    assert_eq!(config.ingest.max_connections, 17);
    assert_eq!(config.ingest.max_body.get(), 9_000_000);
    assert_eq!(config.listen.admin.port(), 1);
    assert_eq!(config.listen.tls.unwrap().key.to_str(), Some("/k"));
    assert!(config.graph.allow_http);
    let eight = &config.pixels[&"8".parse().unwrap()];
    assert_eq!(eight.token, Some(SecretRef::File("/t8".into())));
    assert_eq!(eight.test_event_code.as_deref(), Some("12345"));
    assert_eq!(config.pixels.len(), 2);
    assert_eq!(config.sources["shop"].keys.len(), 2);
    assert!(config.sources["shop"].strict);
    // as a whole, with the names as they are written
    let weights: Vec<_> = config.lanes.weights.iter().collect();
    assert_eq!(weights, [("Purchase", 7), ("my.own Event", 2)]);
}

#[test]
fn every_bad_value_is_told_at_once_with_its_line() {
    let text = r#"
[lanes]
linger = "soon"
max_events = 5000
rate = 50
[graph]
version = "26.0"
verison = "v26.0"
[ingest]
max_body = -1
"#;
    let all = faults(text, &[("CAPIGATE__SHUTDOWN__GRACE", "long")]);
    let expected = [
        (
            "graph.verison",
            "8",
            "is not a key; did you mean graph.version?",
        ),
        (
            "graph.version",
            "7",
            "\"26.0\": expected a version of the Graph API: v and two numbers, such as \"v26.0\"",
        ),
        (
            "ingest.max_body",
            "10",
            "-1: expected a size: a whole number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as \"8MiB\"",
        ),
        (
            "lanes.linger",
            "3",
            "\"soon\": expected a duration: a whole number with ms, s, m, h or d, at most 10000d, such as \"200ms\"",
        ),
        (
            "lanes.max_events",
            "4",
            "5000: expected a whole number from 1 to 1000",
        ),
        (
            "lanes.rate",
            "5",
            "50: expected a rate: a whole number from 1 to 1000000 with /s, /m or /h, such as \"100/s\"",
        ),
        (
            "shutdown.grace",
            "CAPIGATE__SHUTDOWN__GRACE",
            "\"long\": expected a duration: a whole number with ms, s, m, h or d, at most 10000d, such as \"5s\"",
        ),
    ];
    let all: Vec<_> = all
        .iter()
        .map(|(k, o, e)| (k.as_str(), o.as_str(), e.as_str()))
        .collect();
    assert_eq!(all, expected);
}

#[test]
fn a_bad_value_of_every_key_is_refused_with_an_example_that_works() {
    for topic in docs::TOPICS.iter() {
        for key in &topic.keys {
            let (section, rest) = match topic.name {
                "pixels" => ("pixels.1", "token = { env = \"T\" }\n"),
                "sources" if key.name == "origins" => {
                    ("sources.shop", "kind = \"browser\"\npixels = [\"1\"]\n")
                }
                "sources" => (
                    "sources.shop",
                    "keys = [{ env = \"K\" }]\npixels = [\"1\"]\n",
                ),
                // these go together
                "alerts" => (
                    "alerts",
                    "email_to = [\"a@b.example\"]\nemail_from = \"a@b.example\"\nemail_host = \"b.example\"\nemail_username = \"a\"\nemail_password = { env = \"P\" }\n",
                ),
                name => (name, ""),
            };
            let rest: String = rest
                .split_inclusive('\n')
                .filter(|line| !line.starts_with(key.name))
                .collect();
            let pixel = if topic.name == "sources" {
                "[pixels.1]\ntoken = { env = \"T\" }\n"
            } else {
                ""
            };
            // no key takes this
            let text = format!("{pixel}[{section}]\n{rest}{} = 0.5\n", key.name);
            let (path, _, said) = fault(&text);
            assert_eq!(path, format!("{section}.{}", key.name));
            let example = said
                .rsplit_once("such as ")
                .or_else(|| said.rsplit_once(&format!("{} = ", key.name)))
                .unwrap_or_else(|| panic!("{path}: {said}"))
                .1
                .replace("1234567890123456", "1");
            let text = format!("{pixel}[{section}]\n{rest}{} = {example}\n", key.name);
            if let Err(errors) = load(&[&text], &[]) {
                panic!("{text}\n{errors}");
            }
        }
    }
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    for (text, key, said) in [
        ("[lane]\nlinger = \"1s\"", "lane", "did you mean lanes?"),
        ("linger = \"1s\"", "linger", "did you mean lanes.linger?"),
        (
            "[ingest]\nmax_boddy = 1",
            "ingest.max_boddy",
            "did you mean ingest.max_body?",
        ),
        (
            "[graph]\nlinger = \"1s\"",
            "graph.linger",
            "did you mean lanes.linger?",
        ),
        (
            "[shutdown]\nsomething_else = 1",
            "shutdown.something_else",
            "the keys here are grace, requests, sends",
        ),
        (
            "[pixels.1]\ntoken = { env = \"T\" }\ntest_code = \"a\"",
            "pixels.1.test_code",
            "is not a key",
        ),
        ("\"a[999999999]\" = 1", "a[999999999]", "is not a key"),
    ] {
        let (path, _, what) = fault(text);
        assert_eq!(path, key);
        assert!(what.contains(said), "{what}");
    }
}

#[test]
fn a_section_that_is_none_is_told() {
    for (text, key, said) in [
        ("lanes = 5", "lanes", "expected a section, such as [lanes]"),
        (
            "pixels = 5",
            "pixels",
            "expected a section, such as [pixels.1234567890123456]",
        ),
        (
            "[pixels]\n1 = 5",
            "pixels.1",
            "expected a section, such as [pixels.1]",
        ),
        (
            "[pixels.12a]\ntoken = { env = \"T\" }",
            "pixels.12a",
            "expected a pixel id: a pixel id is 1 to 20 decimal digits, the first of them not 0, such as 1234567890123456",
        ),
        (
            "[sources.Shop]\n",
            "sources.Shop",
            "expected a name of 1 to 64 characters of a to z, 0 to 9, - and _",
        ),
        (
            "[lanes.linger]\nx = 1",
            "lanes.linger",
            "expected a duration: a whole number with ms, s, m, h or d, at most 10000d, such as \"200ms\"",
        ),
    ] {
        let (path, _, what) = fault(text);
        assert_eq!((path.as_str(), what.as_str()), (key, said));
    }
}

#[test]
fn what_an_entry_needs_is_told_together() {
    let all = faults(
        "[pixels.1]\n[sources.shop]\nstrict = true\nevent_id = \"none\"\n",
        &[],
    );
    let keys: Vec<&str> = all.iter().map(|(key, ..)| key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "pixels.1.token",
            "sources.shop.event_id",
            "sources.shop.keys",
            "sources.shop.pixels"
        ]
    );
    assert_eq!(
        all[0].2,
        "expected where the access token is, such as { env = \"CAPIGATE_TOKEN\" }; or tokens.vault_key, for a token in the vault"
    );
    let (key, at, what) =
        fault("[sources.shop]\nkeys = []\npixels = [\"1\"]\n[pixels.1]\ntoken = { env = \"T\" }");
    assert_eq!((key.as_str(), at.as_str()), ("sources.shop.keys", "2"));
    assert!(what.contains("at least one key"), "{what}");
}

#[test]
fn a_secret_in_place_of_its_name_is_refused_and_not_shown() {
    const TOKEN: &str = "EAAcanaryCANARYcanary123";
    let app_secret = "ccccccccccccccccccccccccccanary0";
    for value in [
        format!("\"{TOKEN}\""),
        format!("{{ env = \"{TOKEN}\" }}"),
        format!("{{ env = \"{app_secret}\" }}"),
        format!("{{ file = \"{TOKEN}\" }}"),
        format!("{{ value = \"{TOKEN}\" }}"),
        format!("{{ env = [\"{TOKEN}\"] }}"),
        format!("{{ sha256 = \"{TOKEN}\" }}"),
        format!("[\"{TOKEN}\"]"),
        "4242424242424242424".to_owned(),
        "{ env = 4242424242424242424 }".to_owned(),
        "{ env = \"T\", file = \"/t\" }".to_owned(),
        "{}".to_owned(),
    ] {
        let text = format!(
            "[pixels.1]\ntoken = {value}\napp_secret = {value}\n[sources.shop]\nkeys = [{{ env = \"K\" }}, {value}]\npixels = [\"1\"]\n"
        );
        let errors = load(&[&text], &[]).unwrap_err();
        let said = errors.to_string();
        let keys: Vec<&str> = errors.faults.iter().map(|f| f.key.as_str()).collect();
        assert_eq!(
            keys,
            [
                "pixels.1.app_secret",
                "pixels.1.token",
                "sources.shop.keys[1]"
            ],
            "{value}"
        );
        assert!(
            !said.to_lowercase().contains("canary") && !said.contains("4242"),
            "{said}"
        );
        assert!(said.contains("{ env = \"CAPIGATE_TOKEN\" }"), "{said}");
    }
    let (_, _, what) = fault(&format!("[pixels.1]\ntoken = \"{TOKEN}\"\n"));
    assert_eq!(
        what,
        "a secret is not written here: put it into an environment variable or a file and say which, as in token = { env = \"CAPIGATE_TOKEN\" }"
    );
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    const TOKEN: &str = "EAAcanaryCANARYcanaryCANARYcanaryCANARYcanaryCANARY1234567890";
    let text = format!(
        "access_token = \"{TOKEN}\"\n[graph]\nversion = \"{TOKEN}\"\nurl = \"https://u:{TOKEN}@a\"\n\
         [pixels.1]\naccess_token = \"{TOKEN}\"\ntest_event_code = \"{TOKEN}{TOKEN}\"\n[listen]\ntls = {{ key = \"{TOKEN}\" }}\n\
         [lanes]\nmax_events = \"{TOKEN}\"\n"
    );
    let errors = load(&[&text], &[("CAPIGATE__LANES__TOKEN", TOKEN)]).unwrap_err();
    assert_eq!(errors.faults.len(), 9, "{errors}");
    assert!(
        !errors.to_string().to_lowercase().contains("canary"),
        "{errors}"
    );
    let errors = load(&[&format!("[pixels.1]\ntoken = \"{TOKEN}\nx = 1\n")], &[]).unwrap_err();
    assert!(
        !errors.to_string().to_lowercase().contains("canary"),
        "{errors}"
    );
}

#[test]
fn broken_toml_is_told_with_its_lines_and_the_rest_is_checked() {
    let all = faults(
        "[lanes]\nlinger = \nmax_events = oops\n[graph]\nversion = \"x\"\n",
        &[],
    );
    let at: Vec<&str> = all.iter().map(|(_, at, _)| at.as_str()).collect();
    assert!(
        at.contains(&"2") && at.contains(&"3") && at.contains(&"5"),
        "{all:#?}"
    );
    let errors = Config::load(&["/nowhere/x.toml".into()], std::iter::empty()).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "/nowhere/x.toml: cannot be read: entity not found"
    );
}

#[test]
fn keys_that_do_not_go_together_are_told() {
    for (text, key, said) in [
        (
            "[listen]\nadmin = \"127.0.0.1:8080\"",
            "listen.admin",
            "other than",
        ),
        (
            "[ingest]\nmax_body = \"10KiB\"",
            "ingest.max_body",
            "max_event_bytes (64KiB)",
        ),
        (
            "[ingest]\nmax_in_flight = \"1MiB\"",
            "ingest.max_in_flight",
            "three times ingest.max_body (8MiB)",
        ),
        ("[ingest]\nmax_events = 0", "ingest.max_events", "1 to 1000"),
        (
            "[ingest]\nmax_events = 1001",
            "ingest.max_events",
            "1 to 1000",
        ),
        (
            "[ingest]\nheader_timeout = \"0s\"",
            "ingest.header_timeout",
            "at least 100ms",
        ),
        (
            "[journal]\nmax_bytes = \"100MiB\"",
            "journal.max_bytes",
            "segment_bytes (64MiB)",
        ),
        (
            "[journal]\nsegment_bytes = \"2GiB\"",
            "journal.segment_bytes",
            "at most 1GiB",
        ),
        (
            "[journal]\nsettle_sync = \"2m\"",
            "journal.settle_sync",
            "at most 1m",
        ),
        (
            "[journal]\nlock_wait = \"11m\"",
            "journal.lock_wait",
            "at most 10m",
        ),
        (
            "[lanes]\nweights = { Purchase = 0 }",
            "lanes.weights",
            "weights from 1 to 1000",
        ),
        (
            "[lanes]\nweights = { Purchase = 1001 }",
            "lanes.weights",
            "weights from 1 to 1000",
        ),
        (
            "[lanes]\nweights = { a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8, i = 9 }",
            "lanes.weights",
            "at most 8 different weights",
        ),
        (
            "[lanes]\nweights = { \"\" = 2 }",
            "lanes.weights",
            "event names that are not empty",
        ),
        ("[journal]\ndir = \"\"", "journal.dir", "a directory"),
        (
            "[journal]\ndead_max_age = \"30m\"",
            "journal.dead_max_age",
            "at least 1h",
        ),
        (
            "[lanes]\nmax_in_flight_batches = 3",
            "lanes.max_in_flight_batches_per_pixel",
            "max_in_flight_batches (3)",
        ),
        (
            "[lanes]\nbackoff_max = \"500ms\"",
            "lanes.backoff_max",
            "backoff_min (1s)",
        ),
        ("[lanes]\nlinger = \"2m\"", "lanes.linger", "at most 1m"),
        (
            "[graph]\nurl = \"http://example.com\"",
            "graph.url",
            "an https address",
        ),
        (
            "[graph]\ndialog_url = \"http://example.com\"",
            "graph.dialog_url",
            "an https address",
        ),
        (
            "[graph]\nconnect_timeout = \"11s\"",
            "graph.connect_timeout",
            "timeout (10s)",
        ),
        ("[shutdown]\nsends = \"2h\"", "shutdown.sends", "at most 1h"),
    ] {
        let (path, at, what) = fault(text);
        assert_eq!(
            (path.as_str(), what.contains(said)),
            (key, true),
            "{text}: {what}"
        );
        let (_, name) = key.split_once('.').unwrap();
        let set = text.contains(&format!("\n{name} = "));
        assert_eq!(at, if set { "2" } else { "default" }, "{text}");
    }
}

#[test]
fn sources_and_pixels_go_together() {
    assert!(load(&[GOOD], &[]).is_ok());
    let more = |extra: &str| fault(&format!("{GOOD}{extra}"));
    let (key, _, what) =
        more("[sources.other]\nkeys = [{ env = \"K2\" }]\npixels = [\"1\", \"99\"]\n");
    assert_eq!(key, "sources.other.pixels");
    assert!(what.contains("[pixels.99]"), "{what}");
    let (key, at, what) = more("[sources.zoo]\nkeys = [{ env = \"K1\" }]\npixels = [\"1\"]\n");
    assert_eq!((key.as_str(), at.as_str()), ("sources.zoo.keys[0]", "8"));
    assert!(what.contains("\"shop\""), "{what}");
    let (key, _, what) = more("burst = 5\n");
    assert_eq!(key, "sources.shop.burst");
    assert!(what.contains("ingest.max_events (1000)"), "{what}");
    let (key, _, what) = more("default_country = \"deu\"\n");
    assert_eq!(key, "sources.shop.default_country");
    assert!(what.contains("such as \"de\""), "{what}");
    let (key, ..) = more("allow_user_data = [\"a b\"]\n");
    assert_eq!(key, "sources.shop.allow_user_data");
    // a bad token does not make its pixel unknown
    let (key, ..) = fault(&GOOD.replace("{ env = \"T1\" }", "5"));
    assert_eq!(key, "pixels.1.token");
    let config = load(&[GOOD], &[]).unwrap();
    assert_eq!(config.sources["shop"].burst(10), 1000);
    assert_eq!(config.sources["shop"].burst(2000), 2000);
}

#[test]
fn secrets_are_read_and_what_is_missing_is_told_together() {
    let token = file("token-from-file\r\n");
    let empty = file("\n");
    let white = file("two words\n");
    let at = |file: &NamedTempFile| format!("{{ file = \"{}\" }}", file.path().display());
    let text = format!(
        "[pixels.1]\ntoken = {}\napp_secret = {{ env = \"A1\" }}\n[sources.a]\nkeys = [{{ sha256 = \"{DIGEST}\" }}, {{ env = \"K1\" }}]\npixels = [\"1\"]\n",
        at(&token)
    );
    let config = load(&[&text], &[]).unwrap();
    let env = |name: &str| match name {
        "A1" => Some("app".to_owned()),
        "K1" => Some("bar\n".to_owned()),
        _ => None,
    };
    let secrets = config.secrets(&env).unwrap();
    let one = &secrets.pixels[&"1".parse().unwrap()];
    assert_eq!(one.token.as_ref().unwrap().expose(), "token-from-file");
    assert_eq!(one.app_secret.as_ref().unwrap().expose(), "app");
    assert_eq!(secrets.keys.len(), 2);

    // "foo" hashes to DIGEST: found when the variables are read, not before
    let same = |_: &str| Some("foo".to_owned());
    let errors = config.secrets(&same).unwrap_err();
    assert_eq!(errors.faults[0].key, "sources.a.keys[1]");
    assert!(errors.to_string().contains("twice"), "{errors}");

    let text = format!(
        "{text}[pixels.2]\ntoken = {}\napp_secret = {}\n[pixels.3]\ntoken = {{ file = \"/nowhere/t\" }}\n",
        at(&empty),
        at(&white)
    );
    let config = load(&[&text], &[]).unwrap();
    let errors = config.secrets(&|_| None).unwrap_err();
    let keys: Vec<&str> = errors.faults.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "pixels.1.app_secret",
            "pixels.2.app_secret",
            "pixels.2.token",
            "pixels.3.token",
            "sources.a.keys[1]"
        ]
    );
    let said = errors.to_string();
    assert!(
        said.contains("variable A1 is not set") && said.contains("is empty"),
        "{said}"
    );
    assert!(
        said.contains("/nowhere/t cannot be read: entity not found"),
        "{said}"
    );
    assert!(!said.contains("two words"), "{said}");
}

#[test]
fn the_shipped_files_load() {
    for (name, pixels, sources) in [("sandbox", 1, 1), ("production", 2, 3)] {
        let path = format!("{}/config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let config = Config::load(&[path.into()], std::iter::empty()).unwrap();
        assert_eq!(
            (config.pixels.len(), config.sources.len()),
            (pixels, sources),
            "{name}"
        );
        assert_eq!(
            config.warnings(UnixMs::from_secs(1_795_305_600)),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a_configuration_survives_toml_and_json() {
    let config = load(
        &[
            GOOD,
            &format!(
                "[sources.shop]\nkeys = [{{ sha256 = \"{DIGEST}\" }}]\ndefault_country = \"DE\"\n"
            ),
        ],
        &[],
    )
    .unwrap();
    let toml = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<Config>(&toml).unwrap(), config);
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_file_or_variable_panics(text in "[\\[\\]{}=\".a-c\n #0-9_]{0,80}", name in "[A-Z_\\[\\]0-9]{0,20}", value in "\\PC{0,20}") {
        let text = format!("[lanes]\nlinger = {text}");
        let name = format!("CAPIGATE__{name}");
        if let Err(errors) = load(&[&text], &[(&name, &value)]) {
            prop_assert_eq!(errors.to_string().lines().count(), errors.faults.len());
        }
    }
}

/// A source with a policy.
fn with_policy(policy: &str) -> String {
    format!("{GOOD}[sources.shop.policy]\n{policy}\n")
}

#[test]
fn faults_of_a_policy_name_their_key_and_what_was_expected() {
    for (policy, key, said) in [
        (
            "allow_hosts = [\"www.*\"]",
            "allow_hosts[0]",
            "expected a host (\"shop.example\")",
        ),
        (
            "crawlers = \"deny\"",
            "crawlers",
            "expected \"keep\" or \"drop\", such as \"keep\"",
        ),
        (
            "consent = { field = \"opt_out\" }",
            "consent",
            "expected in field a member of the event",
        ),
        (
            "consent = { denied = [0] }",
            "consent",
            "(missing field `field`), such as { field",
        ),
        (
            "limited_data_use = { country = 0, state = 1000 }",
            "limited_data_use",
            "expected \"pass\", or a table of Meta's codes",
        ),
        (
            "sample = { PageView = 1.5 }",
            "sample",
            "expected a share from 0 (none) to 1 (all)",
        ),
        (
            "edits = [{ drop = \"custom_data.a\" }, { rename = \"a\", to = \"a\" }]",
            "edits[1]",
            "expected another member in to than in rename",
        ),
        (
            "edits = [{ set = \"customdata.value\", value = 1 }]",
            "edits[0]",
            "expected a member of the event, or one of user_data",
        ),
        (
            "edits = [{ rename = \"user_data.em\", to = \"custom_data.mail\" }]",
            "edits[0]",
            "expected a member of user_data in to",
        ),
        (
            "edits = [{ drop = \"event_time\" }]",
            "edits",
            "expected edits that leave event_time in place",
        ),
        (
            "edits = [{ rename = \"user_data.fn\", to = \"user_data.external_id\" }]",
            "edits[0]",
            "expected another member than user_data.external_id in to",
        ),
        (
            "allow_hosts = [\".shop.example\"]",
            "allow_hosts[0]",
            "expected a host (\"shop.example\")",
        ),
        (
            "edits = [{ move = \"a\" }]",
            "edits[0]",
            "(unknown field `move`",
        ),
        (
            "rename_events = { Lead = \"Lead\" }",
            "rename_events",
            "expected another name than before",
        ),
        (
            "rename_events = { Lead = \"\" }",
            "rename_events",
            "expected event names that are not empty",
        ),
        (
            "allow_events = [\"Lead\"]\nblock_events = [\"Lead\"]",
            "block_events",
            "expected other names than allow_events has",
        ),
        (
            "alow_events = []",
            "alow_events",
            "did you mean sources.shop.policy.allow_events?",
        ),
    ] {
        let (at, _, told) = fault(&with_policy(policy));
        assert_eq!(at, format!("sources.shop.policy.{key}"), "{told}");
        assert!(told.contains(said), "{policy}: {told}");
    }
    let (at, _, told) = fault(&format!(
        "{GOOD}[pixels.1.policy]\nallow_events = [\" \"]\n"
    ));
    assert_eq!(at, "pixels.1.policy.allow_events", "{told}");
    let (at, line, told) = fault(&with_policy("limited_data_use = {}"));
    assert_eq!(at, "sources.shop.policy.limited_data_use", "{told}");
    assert!(!line.is_empty(), "{told}");
    let (at, _, told) = fault(&format!("{GOOD}policy = 7\n"));
    assert_eq!(
        (at.as_str(), told.as_str()),
        (
            "sources.shop.policy",
            "expected a section, such as [sources.shop.policy]"
        )
    );
    let (at, line, told) = fault(&format!("{GOOD}fan_out = [\"2\"]\n"));
    assert_eq!((at.as_str(), line.as_str()), ("sources.shop.fan_out", "7"));
    assert!(told.contains("2 is not in sources.shop.pixels"), "{told}");
}

#[test]
fn the_keys_of_a_policy_are_layered_one_by_one() {
    let below = with_policy("crawlers = \"drop\"\nsample = { PageView = 0.1, Lead = 0.5 }");
    let above = "[sources.shop.policy]\nsample = { PageView = 0.2 }\n";
    let env = [(
        "CAPIGATE__SOURCES__SHOP__POLICY__BLOCK_EVENTS",
        "[\"Lead\"]",
    )];
    let config = load(&[&below, above], &env).unwrap();
    let expected: Policy = toml::from_str(
        "crawlers = \"drop\"\nsample = { PageView = 0.2 }\nblock_events = [\"Lead\"]",
    )
    .unwrap();
    assert_eq!(config.sources["shop"].policy, expected);
}
