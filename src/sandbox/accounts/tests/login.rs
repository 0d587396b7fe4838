//! The dialog.

use super::*;

const HERE: &str = "http%3A%2F%2Flocalhost%3A8080%2F";
const STATE: &str = "a-state-of-128-bits-or-more";

/// The dialog of the first app, with these parameters behind the usual ones.
fn dialog(more: &str) -> String {
    format!("/v26.0/dialog/oauth?client_id={APP}&redirect_uri={HERE}&state={STATE}{more}")
}

/// Where someone is sent, and with what.
async fn sent(rig: &Rig, path: &str) -> (String, Vec<(String, String)>) {
    let response = rig.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 302, "{path}");
    let to = response.headers()["location"].to_str().unwrap().to_owned();
    let url = url::Url::parse(&to).unwrap();
    assert_eq!(url.fragment(), Some("_=_"));
    (to, url.query_pairs().into_owned().collect())
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let pair = pairs.iter().find(|(key, _)| key == name);
    pair.map(|(_, value)| value.as_str())
}

/// The code of a login with these parameters, and the scopes of the token it is good for.
async fn scopes(rig: &Rig, more: &str) -> Value {
    let (_, pairs) = sent(rig, &dialog(more)).await;
    let code = value(&pairs, "code").unwrap().to_owned();
    let token = rig.exchange(&code).await;
    let seen = rig.inspect(text(&token["access_token"]), APP_TOKEN).await;
    body(seen).await["data"]["scopes"].clone()
}

#[tokio::test]
async fn a_login_from_the_dialog_to_the_first_event() {
    let rig = Rig::start().await;
    let (to, pairs) = sent(&rig, &dialog("&scope=ads_management,pages_show_list")).await;
    assert!(to.starts_with("http://localhost:8080/?code=AQ"), "{to}");
    assert_eq!(value(&pairs, "state"), Some(STATE));
    let short = rig.exchange(value(&pairs, "code").unwrap()).await;
    assert_eq!(short["token_type"], "bearer");
    assert_eq!(short["expires_in"], 3600);
    let long = body(rig.extend(text(&short["access_token"]), &[]).await).await;
    let long = text(&long["access_token"]);
    let data = body(rig.inspect(long, APP_TOKEN).await).await["data"].clone();
    assert_eq!(data["type"], "USER");
    assert_eq!(data["scopes"], json!(["ads_management", "pages_show_list"]));
    assert_eq!(rig.send(long).await.status(), 200);
    assert_eq!(rig.violations(), []);
    assert_eq!(rig.sandbox.totals().events_accepted, 1);
}

#[tokio::test]
async fn each_outcome_looks_as_it_should() {
    let rig = Rig::start().await;
    let denied = [
        ("error", "access_denied"),
        ("error_code", "200"),
        ("error_description", "Permissions error"),
        ("error_reason", "user_denied"),
        ("state", STATE),
    ];
    let (_, pairs) = sent(&rig, &dialog("&sandbox=deny")).await;
    let pairs: Vec<_> = pairs.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(pairs, denied);
    let (_, pairs) = sent(&rig, &dialog("&sandbox=error")).await;
    let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["error_code", "error_message", "state"]);

    let other = "https%3A%2F%2Fother.example%2Fcallback";
    let pages = [
        (dialog("&sandbox=blocked"), "URL Blocked"),
        (dialog("&sandbox=inactive"), "App not active"),
        (dialog("&sandbox=bad_app"), "Invalid App ID"),
        (dialog("&config_id=1"), "Invalid configuration"),
        (dialog("&sandbox_person=7"), "Nobody is logged in"),
        (dialog("").replace(APP, "77"), "Invalid App ID"),
        (dialog("").replace(APP, ""), "Invalid App ID"),
        (dialog("").replace(HERE, other), "URL Blocked"),
        (dialog("").replace("localhost", "127.0.0.1"), "URL Blocked"),
        (dialog("").replace(HERE, ""), "URL Blocked"),
        (
            dialog("").replace(HERE, "http%253A%252F%252Flocalhost"),
            "URL Blocked",
        ),
        // localhost is for apps in development
        (dialog("").replace(APP, OTHER), "URL Blocked"),
    ];
    for (path, title) in pages {
        let response = rig.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(response.headers().get("location"), None);
        let page = response.text().await.unwrap();
        assert!(page.contains(title) && page.contains("not Meta"), "{page}");
    }
    assert_eq!(rig.violations(), []);
}

#[tokio::test]
async fn a_browser_is_asked_and_a_script_is_not() {
    let rig = Rig::start().await;
    let ask = |path: String| {
        let request = rig.request(Method::GET, &path);
        request.header("accept", "text/html,*/*").send()
    };
    let page = ask(dialog("&scope=ads_read")).await.unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    let links: Vec<_> = page.split("href=\"").skip(1).collect();
    let words = ["Allow as Alex", "Allow as Kim", "Cancel"];
    assert_eq!(links.len(), words.len());
    for (link, word) in links.iter().zip(words) {
        let (to, rest) = link.split_once('"').unwrap();
        assert!(rest.starts_with(&format!(">{word}")), "{rest}");
        let (_, pairs) = sent(&rig, &to.replace("&amp;", "&")).await;
        assert_eq!(value(&pairs, "code").is_some(), word != "Cancel");
    }
    // told what to do, it does not ask
    assert_eq!(ask(dialog("&sandbox=allow")).await.unwrap().status(), 302);
    let mut mood = DialogMood {
        outcome: DialogOutcome::Deny,
        ..DialogMood::default()
    };
    rig.sandbox.set_dialog(mood.clone());
    assert_eq!(ask(dialog("")).await.unwrap().status(), 302);
    mood.outcome = DialogOutcome::Page;
    rig.sandbox.set_dialog(mood);
    let page = rig.request(Method::GET, &dialog("")).send().await.unwrap();
    assert_eq!(page.status(), 200);
}

#[tokio::test]
async fn what_was_declined_is_asked_for_again_only_when_told() {
    let rig = Rig::start().await;
    let asked = "&scope=ads_management%20ads_read&response_type=code,granted_scopes";
    // the person of the world has declined ads_read
    let (_, pairs) = sent(&rig, &dialog(asked)).await;
    assert_eq!(value(&pairs, "granted_scopes"), Some("ads_management"));
    assert_eq!(value(&pairs, "denied_scopes"), Some("ads_read"));
    assert_eq!(scopes(&rig, asked).await, json!(["ads_management"]));
    let again = format!("{asked}&auth_type=rerequest");
    let both = json!(["ads_management", "ads_read"]);
    assert_eq!(scopes(&rig, &again).await, both);
    assert_eq!(scopes(&rig, asked).await, both);
    let fewer = format!("{asked}&sandbox_decline=ads_management");
    assert_eq!(scopes(&rig, &fewer).await, json!(["ads_read"]));
    // a configuration takes the place of the scope
    let config = "&config_id=1100000000000002";
    assert_eq!(scopes(&rig, config).await, json!(["ads_read"]));
}

#[tokio::test]
async fn consent_may_be_all_or_nothing() {
    let rig = Rig::start().await;
    let callback = "https%3A%2F%2Fother.example%2Fcallback";
    let path = dialog("&scope=a,b&response_type=code,granted_scopes&sandbox_decline=a")
        .replace(APP, OTHER)
        .replace(HERE, callback);
    let (to, pairs) = sent(&rig, &path).await;
    assert!(to.starts_with("https://other.example/callback?code="));
    assert_eq!(value(&pairs, "granted_scopes"), Some(""));
    assert_eq!(value(&pairs, "denied_scopes"), Some("a,b"));
}

#[tokio::test]
async fn a_business_login_gives_a_token_of_the_system_user() {
    let rig = Rig::start().await;
    let (_, pairs) = sent(&rig, &dialog("&config_id=1100000000000001")).await;
    let token = rig.exchange(value(&pairs, "code").unwrap()).await;
    assert_eq!(token.get("expires_in"), None);
    let token = text(&token["access_token"]);
    let data = body(rig.inspect(token, APP_TOKEN).await).await["data"].clone();
    assert_eq!(data["type"], "SYSTEM_USER");
    assert_eq!(data["user_id"], ADMIN);
    let me = rig.get("/v26.0/me?fields=client_business_id", token).await;
    assert_eq!(body(me).await["client_business_id"], BUSINESS);
}

#[tokio::test]
async fn what_a_careful_app_never_does_in_the_dialog() {
    let rig = Rig::start().await;
    let cases = [
        (dialog("").replace(STATE, ""), "dialog_state"),
        (dialog("").replace(STATE, "abc123"), "dialog_state"),
        (dialog("&response_type=token"), "dialog_response_type"),
        (dialog("&client_secret=x"), "secret_in_url"),
    ];
    for (path, kind) in cases {
        rig.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(rig.violations().pop().unwrap().0, kind, "{path}");
    }
    assert_eq!(rig.violations().len(), 4);
}
