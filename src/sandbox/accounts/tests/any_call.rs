//! Whatever is asked, something is answered, and no token is given away.

use hyper::Request;
use proptest::prelude::*;

use super::super::call::Call;
use super::super::exchange::Outcome;
use super::super::registry::Registry;
use super::super::route;
use super::*;

const GIVEN: &str = "EAAgivenTokenOfTheGatewayNobodyMaySee";

const PATHS: [&str; 13] = [
    "v26.0/dialog/oauth",
    "oauth/access_token",
    "oauth/revoke",
    "debug_token",
    "v26.0/me",
    "v26.0/me/permissions",
    "v26.0/3000000000000001/permissions/ads_read",
    "v26.0/me/accounts",
    "v26.0/4000000000000001",
    "v26.0/1234567890123456",
    "v26.0/2000000000000001/system_users",
    "v26.0/61550000000001/applications",
    "v26.0/61550000000001/access_tokens",
];

const NAMES: [&str; 24] = [
    "access_token",
    "after",
    "appsecret_proof",
    "appsecret_time",
    "business_app",
    "client_id",
    "client_secret",
    "code",
    "config_id",
    "fb_exchange_token",
    "fields",
    "grant_type",
    "input_token",
    "limit",
    "redirect_uri",
    "response_type",
    "revoke_token",
    "sandbox",
    "sandbox_decline",
    "sandbox_person",
    "scope",
    "set_token_expires_in_60_days",
    "state",
    "auth_type",
];

fn any_value() -> impl Strategy<Value = String> {
    let known = [
        APP,
        SECRET,
        APP_TOKEN,
        OTHER,
        ALEX,
        BUSINESS,
        ADMIN,
        PAGE,
        PIXEL,
        "alex",
        "admin",
        "fb_exchange_token",
        "client_credentials",
        "http://localhost:8080/",
        "https://gate.example/callback",
        "id,name,access_token{x}",
        "ads_management",
        "true",
        "allow",
        "1100000000000001",
        "9223372036854775807",
        "-9223372036854775808",
        "726f77203138343436373434303733373039353531363134",
    ];
    prop_oneof![
        4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => ".{0,20}",
    ]
}

fn registry() -> Registry {
    let mut world: World = toml::from_str(WORLD).unwrap();
    for (value, holder, kind) in [("alex", ALEX, "user"), ("admin", ADMIN, "system_user")] {
        let scopes = ["pages_show_list"];
        let spec =
            json!({ "value": value, "app": APP, "holder": holder, "kind": kind, "scopes": scopes });
        world.tokens.push(serde_json::from_value(spec).unwrap());
    }
    world.tokens.push(SandboxToken::new("given", GIVEN));
    Registry::new(world, vec![], NOW.secs()).unwrap()
}

proptest! {
    #[test]
    fn nothing_panics_or_gives_a_token_away(
        calls in proptest::collection::vec(
            (
                proptest::sample::select(&PATHS[..]),
                proptest::sample::select(vec![Method::GET, Method::POST, Method::DELETE]),
                proptest::collection::vec((proptest::sample::select(&NAMES[..]), any_value()), 0..9),
            ),
            1..6,
        ),
    ) {
        let mut registry = registry();
        for (path, method, params) in calls {
            let segments: Vec<&str> = path.split('/').collect();
            let mut asked = route::of(&segments, |text| text == "v26.0").unwrap();
            if !asked.edge.takes(&method) {
                continue;
            }
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&params)
                .finish();
            let request = Request::builder().method(method).uri(format!("/{path}?{query}"));
            let (head, ()) = request.body(()).unwrap().into_parts();
            asked.edge = registry.settle(&Call::read(&head, b"", asked.clone()));
            let call = Call::read(&head, b"", asked);
            call.findings();
            let said = match registry.answer(&call, NOW.secs()) {
                Outcome::Json(value) => value.to_string(),
                Outcome::Redirect(to) => to,
                Outcome::Page { html, .. } => html,
                Outcome::Refused(error) => error.body("trace").to_string(),
            };
            prop_assert!(!said.contains(GIVEN), "{path}");
        }
    }
}
