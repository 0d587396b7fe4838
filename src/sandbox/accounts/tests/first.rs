//! The whole way: log in, exchange, extend, look, send, revoke.

use super::*;

#[tokio::test]
async fn a_login_from_the_dialog_to_the_first_event() {
    let rig = Rig::start().await;
    let dialog = format!(
        "/v26.0/dialog/oauth?client_id={APP}&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2F\
         &state=a-state-of-128-bits-or-more&scope=ads_management,pages_show_list"
    );
    let sent = rig.request(Method::GET, &dialog).send().await.unwrap();
    assert_eq!(sent.status(), 302);
    let to = sent.headers()["location"].to_str().unwrap();
    assert!(to.starts_with("http://localhost:8080/?code=AQ"), "{to}");
    assert!(to.ends_with("&state=a-state-of-128-bits-or-more#_=_"));
    let code = to.split_once("code=").unwrap().1.split('&').next().unwrap();

    let client = [("client_id", APP), ("client_secret", SECRET)];
    let mut form = client.to_vec();
    form.extend([("redirect_uri", "http://localhost:8080/"), ("code", code)]);
    let short = body(rig.oauth(&form).await).await;
    assert_eq!(
        (&short["token_type"], &short["expires_in"]),
        (&json!("bearer"), &json!(3600))
    );
    let mut form = client.to_vec();
    let token = text(&short["access_token"]);
    form.extend([
        ("grant_type", "fb_exchange_token"),
        ("fb_exchange_token", token),
    ]);
    let long = body(rig.oauth(&form).await).await;
    assert_eq!(long["expires_in"], 5_184_000);
    let long = text(&long["access_token"]);
    assert_ne!(long, token);

    let seen = rig
        .get(&format!("/debug_token?input_token={long}"), APP_TOKEN)
        .await;
    let data = body(seen).await["data"].clone();
    assert_eq!(data["type"], "USER");
    assert_eq!(data["is_valid"], true);
    assert_eq!(data["scopes"], json!(["ads_management", "pages_show_list"]));
    assert_eq!(data["expires_at"], NOW.secs() + 5_184_000);
    assert_eq!(rig.violations(), []);
}
