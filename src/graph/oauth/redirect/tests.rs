//! What comes back from the dialog, in all its forms.

use proptest::prelude::*;

use super::*;

const STATE: &str = "state-canary-0123456789";
const CODE: &str = "AQDcodecanary0123456789-_abc";

fn parse(text: &str, from: Caught) -> Result<Redirect, RedirectError> {
    let text = text.replace("STATE", STATE).replace("CODE", CODE);
    parse_redirect(&text, from, &Secret::new(STATE.to_owned()))
}

fn code(text: &str, from: Caught) -> String {
    match parse(text, from) {
        Ok(Redirect::Code(code)) => code.expose().to_owned(),
        other => panic!("{other:?} of {text}"),
    }
}

#[test]
fn a_code_is_found_wherever_it_stands() {
    use Caught::{Listener, Paste};
    for (text, from) in [
        ("/?code=CODE&state=STATE", Listener),
        ("code=CODE&state=STATE", Listener),
        (
            "/callback?x=1&state=STATE&granted_scopes=a%2Cb&code=CODE",
            Listener,
        ),
        ("http://localhost:8080/?code=CODE&state=STATE#_=_", Paste),
        (
            "  \"http://localhost:8080/?state=STATE&code=CODE#_=_\"\n",
            Paste,
        ),
        (
            "<https://example.com/a/b?denied_scopes=&state=STATE&enforce_https=1&code=CODE>",
            Paste,
        ),
        ("?code=CODE&state=STATE", Paste),
        ("code=CODE&state=STATE", Paste),
        ("CODE&state=STATE#_=_", Paste),
        ("CODE", Paste),
        (" CODE#_=_ ", Paste),
        ("CODE&granted_scopes=x", Paste),
    ] {
        assert_eq!(code(text, from), CODE, "{text}");
    }
    let encoded = "http://localhost/?code=AQ%2Dx%2F%2By&state=st%61te-canary-0123456789";
    assert_eq!(code(encoded, Paste), "AQ-x/+y");
    assert_eq!(code("AQ%2Dx", Paste), "AQ-x");
}

#[test]
fn without_the_right_state_nothing_is_believed() {
    use Caught::{Listener, Paste};
    use RedirectError::{NoCode, NoState, OtherState, TooLong, Twice};
    for (text, from, want) in [
        ("/?code=CODE", Listener, NoState),
        ("/?code=CODE&state=", Listener, OtherState),
        ("/?code=CODE&state=STATEx", Listener, OtherState),
        ("/?code=CODE&state=state", Listener, OtherState),
        ("http://localhost/?code=CODE", Paste, NoState),
        ("code=CODE", Paste, NoState),
        ("CODE&state=other", Paste, OtherState),
        ("/?error=access_denied", Listener, NoState),
        (
            "/?error_code=1&error_message=x&state=other",
            Listener,
            OtherState,
        ),
        ("/?code=CODE&code=CODE&state=STATE", Listener, Twice),
        ("/?code=CODE&state=STATE&state=STATE", Listener, Twice),
        ("CODE&code=CODE", Paste, Twice),
        ("/?state=STATE", Listener, NoCode),
        ("/?code=&state=STATE", Listener, NoCode),
        ("/?code=a%0Ab&state=STATE", Listener, NoCode),
        ("/favicon.ico", Listener, NoCode),
        ("CODE", Listener, NoCode),
        ("/?CODE", Listener, NoState),
        ("", Paste, NoCode),
        ("http://localhost:8080/", Paste, NoCode),
        (
            "http://localhost:8080/#access_token=x&state=STATE",
            Paste,
            NoCode,
        ),
        ("two words", Paste, NoCode),
    ] {
        let got = parse(text, from);
        assert_eq!(got.as_ref().err(), Some(&want), "{text}: {got:?}");
        assert!(want.code().starts_with("redirect_"));
    }
    let long = format!("/?code={}&state=STATE", "x".repeat(MAX_REDIRECT));
    assert_eq!(parse(&long, Listener).err(), Some(TooLong));
}

#[test]
fn a_no_and_a_failure_are_told_apart() {
    let from = Caught::Listener;
    let denied = parse(
        "/?error=access_denied&error_code=200&error_description=Permissions+error&error_reason=user_denied&state=STATE#_=_",
        from,
    );
    match denied.unwrap() {
        Redirect::Denied { message } => {
            assert_eq!(message.unwrap().as_str(), "Permissions error");
        }
        other => panic!("{other:?}"),
    }
    for (text, code, words, slug) in [
        (
            "/?error_code=1&error_message=It+broke&state=STATE",
            Some(1),
            Some("It broke"),
            "dialog-failed",
        ),
        (
            "/?error_code=191&error_message=redirect_uri+isn%27t+an+absolute+URI&state=STATE",
            Some(191),
            Some("redirect_uri isn't an absolute URI"),
            "redirect-not-absolute",
        ),
        (
            "/?error_code=200&state=STATE",
            Some(200),
            None,
            "dialog-denied",
        ),
        (
            "/?error_message=no+CODE+and+STATE&code=CODE&state=STATE",
            None,
            Some("no [redacted] and [redacted]"),
            "dialog-failed",
        ),
        (
            "/?error=server_error&code=CODE&state=STATE",
            None,
            Some("server_error"),
            "dialog-failed",
        ),
        ("/?error=&state=STATE", None, None, "dialog-failed"),
    ] {
        let redirect = parse(text, from).unwrap();
        assert_eq!(redirect.explain().unwrap().slug, slug, "{text}");
        match redirect {
            Redirect::Failed { code: got, message } => {
                assert_eq!(got, code, "{text}");
                assert_eq!(message.as_ref().map(Text::as_str), words, "{text}");
            }
            other => panic!("{other:?} of {text}"),
        }
    }
    let denied = Redirect::Denied { message: None };
    assert_eq!(denied.explain().unwrap().slug, "dialog-denied");
    let code = parse("/?code=CODE&state=STATE", from).unwrap();
    assert!(code.explain().is_none());
    assert!(!format!("{code:?}").contains("canary"));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        text in r"\PC{0,60}",
        parts in prop::collection::vec((r"code|state|error(_code|_message)?|\PC{0,4}", r"STATE|CODE|%[0-9a-zA-Z]{0,2}|\PC{0,6}"), 0..6),
    ) {
        let query: Vec<String> = parts.iter().map(|(name, value)| format!("{name}={value}")).collect();
        for text in [text.clone(), query.join("&"), format!("http://localhost/?{}#{text}", query.join("&"))] {
            for from in [Caught::Listener, Caught::Paste] {
                if let Ok(Redirect::Denied { message } | Redirect::Failed { message, .. }) = parse(&text, from) {
                    let shown = format!("{message:?}");
                    prop_assert!(!shown.contains("te-canary"));
                }
            }
        }
    }
}
