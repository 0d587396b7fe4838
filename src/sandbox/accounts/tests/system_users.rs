//! System users.

use super::super::proof::sign;
use super::*;

#[tokio::test]
async fn system_users_get_apps_and_tokens() {
    let rig = Rig::start().await;
    let admin = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let path = format!("/v26.0/{BUSINESS}/system_users?fields=id,name,role");
    let seen = body(rig.get(&path, &admin).await).await;
    let expected = json!([
        { "id": ADMIN, "name": "Gateway", "role": "ADMIN" },
        { "id": EMPLOYEE, "name": "Helper", "role": "EMPLOYEE" },
    ]);
    assert_eq!(seen["data"], expected);

    let tokens = format!("/v26.0/{EMPLOYEE}/access_tokens");
    let proof = sign(SECRET, &admin);
    let form = [
        ("business_app", APP),
        ("scope", "ads_management,business_management"),
        ("access_token", &admin),
        ("appsecret_proof", &proof),
    ];
    let early: Value = rig.post(&tokens, &form).await.json().await.unwrap();
    assert_eq!(early["error"]["code"], 100);
    assert_eq!(early["error"]["error_user_title"], "App not installed");
    let install = format!("/v26.0/{EMPLOYEE}/applications");
    let seen = body(rig.post(&install, &form).await).await;
    assert_eq!(seen, json!({ "success": true }));
    let seen = body(rig.post(&tokens, &form).await).await;
    assert_eq!(seen.as_object().unwrap().len(), 1);
    let made = text(&seen["access_token"]);
    let data = body(rig.inspect(made, APP_TOKEN).await).await["data"].clone();
    assert_eq!(
        (&data["user_id"], &data["expires_at"]),
        (&json!(EMPLOYEE), &json!(0))
    );
    // made before a pixel was assigned, it reaches none
    assert_eq!(refusal(rig.send(made).await).await, (400, 100, Some(33)));
    let mut sixty = form.to_vec();
    sixty.push(("set_token_expires_in_60_days", "true"));
    let seen = body(rig.post(&tokens, &sixty).await).await;
    let data = body(rig.inspect(text(&seen["access_token"]), APP_TOKEN).await).await;
    assert_eq!(data["data"]["expires_at"], NOW.secs() + 60 * 86_400);
    rig.sandbox.set_quirks(Quirks {
        bare_true: true,
        ..Quirks::default()
    });
    assert_eq!(body(rig.post(&install, &form).await).await, json!(true));
    assert_eq!(rig.violations(), []);
}

#[tokio::test]
async fn system_users_are_refused_what_they_may_not_have() {
    let mut world: World = toml::from_str(WORLD).unwrap();
    world.apps[0].business = Some(BUSINESS.to_owned());
    world.businesses[0].must_expire = true;
    let rig = Rig::with(world).await;
    let admin = rig.mint(json!({ "app": APP, "holder": ADMIN }));
    let helper = rig.mint(json!({ "app": APP, "holder": EMPLOYEE }));
    let stranger = rig.mint(json!({ "app": APP, "holder": "3000000000000002", "kind": "user" }));
    let tokens = format!("/v26.0/{ADMIN}/access_tokens");
    let good = |by: &str| {
        vec![
            ("business_app", APP.to_owned()),
            ("scope", "ads_management".to_owned()),
            ("access_token", by.to_owned()),
            ("appsecret_proof", sign(SECRET, by)),
            ("set_token_expires_in_60_days", "true".to_owned()),
        ]
    };
    let cases = [
        (&admin, "", "", "ok"),
        (&admin, "set_token_expires_in_60_days", "", "must_expire"),
        (&admin, "scope", "", "scope"),
        (&admin, "scope", "ads_management,email", "scope"),
        (&admin, "business_app", "", "business_app"),
        (&admin, "business_app", OTHER, "business_app"),
        (&admin, "appsecret_proof", "", "proof_missing"),
        (&admin, "appsecret_proof", "wrong", "proof_wrong"),
        (&helper, "", "", "not_admin"),
        (&stranger, "", "", "not_admin"),
    ];
    for (by, name, value, reason) in cases {
        let mut form = good(by);
        form.retain(|(key, _)| *key != name);
        if !value.is_empty() {
            form.push((name, value.to_owned()));
        }
        let form: Vec<_> = form.iter().map(|(a, b)| (*a, b.as_str())).collect();
        rig.post(&tokens, &form).await;
        assert_eq!(rig.last().outcome.reason, reason, "{name}={value}");
    }
    let nobody = tokens.replace(ADMIN, "61550000000009");
    rig.post(&nobody, &[("access_token", &admin)]).await;
    assert_eq!(rig.last().outcome.reason, "proof_missing");
    let proof = sign(SECRET, &admin);
    rig.post(
        &nobody,
        &[("access_token", &admin), ("appsecret_proof", &proof)],
    )
    .await;
    assert_eq!(rig.last().outcome.reason, "object_unreachable");
    for (business, token, reason) in [
        (BUSINESS, &helper, "not_admin"),
        ("2000000000000009", &admin, "object_unreachable"),
    ] {
        rig.get(&format!("/v26.0/{business}/system_users"), token)
            .await;
        assert_eq!(rig.last().outcome.reason, reason);
    }
}
