//! Each fault that pastes are known to have, a row each.

use proptest::prelude::*;

use super::*;

const TOKEN: &str = "EAAcanaryB0canaryC1canaryD2canaryE3canaryF4canaryG5canaryH6ZDZD";
const APP_SECRET: &str = "0123456789abcdef0123456789abcdef";
const CODE: &str = "AQcanary-B0canary_C1canaryD2canaryE3canaryF4canaryG5canaryH6";

fn tidied(raw: &str, kind: Kind) -> (String, Vec<&'static str>) {
    let (secret, notes) = tidy(raw, kind).unwrap_or_else(|error| panic!("{raw:?}: {error}"));
    let notes = notes.iter().map(|note| note.code()).collect();
    (secret.expose().to_owned(), notes)
}

fn halves(value: &str) -> (&str, &str) {
    value.split_at(30)
}

#[test]
fn what_can_be_mended_is_mended_with_a_note() {
    let (a, b) = halves(TOKEN);
    let rows: [(String, &[&str]); 41] = [
        (TOKEN.to_owned(), &[]),
        (format!("  {TOKEN}\r\n"), &["outer_space"]),
        (format!("\u{a0}{TOKEN}\u{3000}"), &["outer_space"]),
        (format!("\"{TOKEN}\""), &["quotes"]),
        (format!("'{TOKEN}'"), &["quotes"]),
        (format!("“{TOKEN}”"), &["quotes"]),
        (format!("„{TOKEN}“"), &["quotes"]),
        (format!("`{TOKEN}`"), &["quotes"]),
        (format!("<{TOKEN}>"), &["quotes"]),
        (format!("\"{TOKEN}\","), &["punctuation", "quotes"]),
        (format!("' {TOKEN} '"), &["quotes", "outer_space"]),
        (format!("Bearer {TOKEN}"), &["prefix"]),
        (format!("\"Bearer {TOKEN}\""), &["quotes", "prefix"]),
        (format!("'access_token={TOKEN}'"), &["quotes", "prefix"]),
        (
            format!("\"access_token\": \"{TOKEN}\""),
            &["prefix", "quotes"],
        ),
        (format!("bearer  {TOKEN}"), &["prefix"]),
        (format!("OAuth {TOKEN}"), &["prefix"]),
        (format!("Authorization: Bearer {TOKEN}"), &["prefix"]),
        (format!("access_token={TOKEN}"), &["prefix"]),
        (
            format!("SHOP_TOKEN='{TOKEN}'\n"),
            &["outer_space", "prefix", "quotes"],
        ),
        (format!("SHOP_TOKEN=\"{TOKEN}\""), &["prefix", "quotes"]),
        (format!("TOKEN={TOKEN}"), &["prefix"]),
        (format!("export shop_token={TOKEN}"), &["prefix"]),
        (
            format!("  export  T='{TOKEN}'"),
            &["outer_space", "prefix", "quotes"],
        ),
        (format!("access_token = {TOKEN}"), &["prefix"]),
        (format!("access_token: {TOKEN}"), &["prefix"]),
        (
            format!("\"access_token\": \"{TOKEN}\","),
            &["prefix", "punctuation", "quotes"],
        ),
        (format!("{a}\n{b}"), &["inner_space"]),
        (format!("{a}\r\n  {b}"), &["inner_space"]),
        (format!("{a} {b}"), &["inner_space"]),
        (format!("E{TOKEN}"), &["doubled_letter"]),
        (format!("E{a}\n{b}"), &["inner_space", "doubled_letter"]),
        (format!("\u{feff}{TOKEN}"), &["invisible"]),
        (format!("{a}\u{200b}{b}\u{2060}"), &["invisible"]),
        (format!("{a}\u{0}{b}"), &["invisible"]),
        (format!("\u{1b}[200~{TOKEN}\u{1b}[201~"), &["invisible"]),
        (
            format!(
                "{{\"access_token\":\"{TOKEN}\",\"token_type\":\"bearer\",\"expires_in\":5183944}}"
            ),
            &["from_json"],
        ),
        (
            format!("{{\n  \"access_token\": \"{a}\n{b}\"\n}}"),
            &["from_json"],
        ),
        (
            format!("https://graph.facebook.com/v26.0/me?fields=id&access_token={TOKEN}"),
            &["from_url"],
        ),
        (
            format!("https://localhost:8080/#access_token={a}\n{b}&expires_in=5000"),
            &["from_url"],
        ),
        (
            format!("#access_token={TOKEN}&data_access_expiration_time=1"),
            &["from_url"],
        ),
    ];
    for (raw, notes) in rows {
        assert_eq!(
            tidied(&raw, Kind::LaneToken),
            (TOKEN.to_owned(), notes.to_vec()),
            "{raw:?}"
        );
    }
}

#[test]
fn each_kind_is_found_under_its_own_name() {
    let app_token = format!("1234567890|{APP_SECRET}");
    for (raw, kind, want, notes) in [
        (
            app_token.clone(),
            Kind::AppToken,
            app_token.as_str(),
            vec![],
        ),
        (
            format!("access_token=1234567890%7C{APP_SECRET}"),
            Kind::AppToken,
            &app_token,
            vec!["prefix"],
        ),
        (
            format!("{{\"access_token\":\"{app_token}\"}}"),
            Kind::AppToken,
            &app_token,
            vec!["from_json"],
        ),
        (TOKEN.to_owned(), Kind::AppToken, TOKEN, vec!["no_app_id"]),
        (
            format!(" {APP_SECRET}\n"),
            Kind::AppSecret,
            APP_SECRET,
            vec!["outer_space"],
        ),
        (
            format!("client_secret={APP_SECRET}"),
            Kind::AppSecret,
            APP_SECRET,
            vec!["prefix"],
        ),
        (
            APP_SECRET.to_uppercase(),
            Kind::AppSecret,
            &APP_SECRET.to_uppercase(),
            vec!["not_hex32"],
        ),
        (
            "short".to_owned(),
            Kind::AppSecret,
            "short",
            vec!["not_hex32"],
        ),
        (CODE.to_owned(), Kind::Code, CODE, vec![]),
        (format!("{CODE}#_=_"), Kind::Code, CODE, vec!["tail"]),
        (
            format!("{CODE}&state=abc#_=_"),
            Kind::Code,
            CODE,
            vec!["tail"],
        ),
        (
            format!("http://localhost:8080/?state=abc&code={CODE}#_=_"),
            Kind::Code,
            CODE,
            vec!["from_url"],
        ),
        (
            format!("?code={CODE}&state=abc"),
            Kind::Code,
            CODE,
            vec!["from_url"],
        ),
        (
            format!("code={CODE}&state=abc#_=_"),
            Kind::Code,
            CODE,
            vec!["from_url"],
        ),
    ] {
        assert_eq!(tidied(&raw, kind), (want.to_owned(), notes), "{raw:?}");
    }
}

#[test]
fn unusual_shapes_are_warnings() {
    for (raw, notes) in [
        ("CAAB".repeat(20), vec!["not_eaa"]),
        (TOKEN[..49].to_owned(), vec!["short"]),
        ("x".to_owned(), vec!["not_eaa", "short"]),
        (APP_SECRET.to_owned(), vec!["looks_like_app_secret"]),
    ] {
        assert_eq!(
            tidied(&raw, Kind::LaneToken),
            (raw.clone(), notes),
            "{raw:?}"
        );
        let (_, notes) = tidy(&raw, Kind::LaneToken).unwrap();
        assert!(notes.iter().all(|note| note.is_warning()), "{raw:?}");
    }
    assert_eq!(tidied("AQshort", Kind::Code).1, ["short"]);
}

#[test]
fn what_cannot_be_mended_is_refused_and_never_shown() {
    let token = TOKEN;
    for (raw, kind, want) in [
        (String::new(), Kind::LaneToken, PasteError::Empty),
        (
            " \r\n\u{feff}\"\" ".to_owned(),
            Kind::LaneToken,
            PasteError::Empty,
        ),
        ("Bearer ".to_owned(), Kind::LaneToken, PasteError::Empty),
        (
            "access_token=".to_owned(),
            Kind::LaneToken,
            PasteError::Empty,
        ),
        (
            "a".repeat(MAX_PASTE + 1),
            Kind::LaneToken,
            PasteError::TooLong,
        ),
        (
            "EAAc…canary".to_owned(),
            Kind::LaneToken,
            PasteError::Masked,
        ),
        (
            "EAAcanary****".to_owned(),
            Kind::LaneToken,
            PasteError::Masked,
        ),
        (
            "EAAc...canary".to_owned(),
            Kind::LaneToken,
            PasteError::Masked,
        ),
        ("••••canary".to_owned(), Kind::AppSecret, PasteError::Masked),
        (format!("{token}é"), Kind::LaneToken, PasteError::NotAscii),
        // a Cyrillic letter that looks like an E
        (
            token.replacen('E', "\u{415}", 1),
            Kind::LaneToken,
            PasteError::NotAscii,
        ),
        (
            format!("my token is {token}"),
            Kind::LaneToken,
            PasteError::InnerSpace,
        ),
        (
            "canary words".to_owned(),
            Kind::AppSecret,
            PasteError::InnerSpace,
        ),
        (
            format!("{token}\n{token}"),
            Kind::LaneToken,
            PasteError::Several,
        ),
        (
            format!("access_token={token}&access_token={token}"),
            Kind::LaneToken,
            PasteError::Several,
        ),
        (
            format!("1234567890|{APP_SECRET}"),
            Kind::LaneToken,
            PasteError::AppTokenAsLaneToken,
        ),
        (
            format!("1234567890|{APP_SECRET}"),
            Kind::AppSecret,
            PasteError::Pipe,
        ),
        (format!("{CODE}|"), Kind::Code, PasteError::Pipe),
        (
            format!("canary|{APP_SECRET}"),
            Kind::AppToken,
            PasteError::NotAnAppToken,
        ),
        (
            format!("1|2|{APP_SECRET}"),
            Kind::AppToken,
            PasteError::NotAnAppToken,
        ),
        (
            "1234567890|".to_owned(),
            Kind::AppToken,
            PasteError::NotAnAppToken,
        ),
        (
            token.to_owned(),
            Kind::AppSecret,
            PasteError::TokenAsAppSecret,
        ),
        ("{canary".to_owned(), Kind::LaneToken, PasteError::NotInJson),
        (
            "{\"canary\":1}".to_owned(),
            Kind::LaneToken,
            PasteError::NotInJson,
        ),
        (
            format!("{{\"access_token\":\"{token}\"}}"),
            Kind::Code,
            PasteError::NotInJson,
        ),
        (
            "{\"error\":{\"message\":\"canary\",\"code\":190}}".to_owned(),
            Kind::LaneToken,
            PasteError::ErrorAnswer,
        ),
        (
            "https://canary.example/".to_owned(),
            Kind::LaneToken,
            PasteError::NotInUrl,
        ),
        (
            "https://canary.example/?a=b".to_owned(),
            Kind::Code,
            PasteError::NotInUrl,
        ),
        (
            "http://localhost:8080/?error=access_denied&error_code=200&error_reason=canary#_=_"
                .to_owned(),
            Kind::Code,
            PasteError::RefusedLogin,
        ),
    ] {
        let error = tidy(&raw, kind).map(|(_, notes)| notes).unwrap_err();
        assert_eq!(error, want, "{raw:?}");
        assert!(!error.to_string().contains("canary") && !error.code().is_empty());
    }
}

#[test]
fn pixel_ids_and_test_codes() {
    for (text, warns) in [
        ("1234567890123456", false),
        (" 123456789012345\n", false),
        ("12345", true),
        ("18446744073709551615", true),
    ] {
        let (pixel, note) = pixel_shape(text).unwrap();
        assert_eq!(
            (pixel.to_string().as_str(), note.is_some()),
            (text.trim(), warns)
        );
    }
    for bad in [
        "",
        "1234",
        "0123456789",
        "12a45",
        "123456789012345678901",
        "99999999999999999999",
        "١٢٣٤٥",
    ] {
        assert_eq!(pixel_shape(bad), Err(PixelShapeError), "{bad:?}");
    }
    for good in ["TEST12345", "a", "A_b-9", &"x".repeat(64)] {
        assert_eq!(test_code_shape(&format!(" {good} ")), Ok(good));
    }
    for bad in ["", "my code", "é", "a.b", &"x".repeat(65)] {
        assert_eq!(test_code_shape(bad), Err(TestCodeError), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn no_paste_panics_and_what_comes_out_is_one_word(
        raw in ".{0,80}",
        around in prop::sample::select(vec!["{}", " \"{}\"", "Bearer {}", "{\"access_token\":\"{}\"}", "https://x/?code={}", "?access_token={}&x=1", "EEAA{}"]),
        kind in prop::sample::select(vec![Kind::LaneToken, Kind::AppToken, Kind::AppSecret, Kind::Code]),
    ) {
        let raw = around.replace("{}", &raw);
        if let Ok((secret, _)) = tidy(&raw, kind) {
            prop_assert!(!secret.expose().is_empty());
            prop_assert!(secret.expose().bytes().all(|b| b.is_ascii_graphic()), "{raw:?}");
        }
    }

    #[test]
    fn a_token_survives_any_white_space_and_tidying_twice(
        cuts in prop::collection::vec((0..TOKEN.len(), "[ \t\r\n]{1,3}"), 0..6),
    ) {
        let mut raw = TOKEN.to_owned();
        for (at, space) in cuts {
            raw.insert_str(at, &space);
        }
        // a first letter of its own would be no token any more, but a word before one
        let (value, _) = tidied(&raw, Kind::LaneToken);
        prop_assert_eq!(&value, TOKEN);
        prop_assert_eq!(tidied(&value, Kind::LaneToken), (value, vec![]));
    }
}
