//! The account edges over the wire.

mod any_call;
mod codes;
mod control;
mod dataset_quality;
mod inspection;
mod login;
mod nodes;
mod states;
mod system_users;

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

use crate::sandbox::samples::{NOW, with_id};
use crate::sandbox::{
    AccountCall, DATASET_USER, DialogMood, DialogOutcome, Edge, Fault, Needs, Place, Quirks,
    STATES, Sandbox, SandboxSettings, SandboxToken, TokenChange, TokenState, World,
};
use crate::time::Clock;

const APP: &str = "1000000000000001";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const APP_TOKEN: &str = "1000000000000001|0123456789abcdef0123456789abcdef";
const OTHER: &str = "1000000000000002";
const OTHER_TOKEN: &str = "1000000000000002|fedcba9876543210fedcba9876543210";
const ALEX: &str = "3000000000000001";
const BUSINESS: &str = "2000000000000001";
const ADMIN: &str = "61550000000001";
const EMPLOYEE: &str = "61550000000002";
const PAGE: &str = "4000000000000001";
const PIXEL: &str = "1234567890123456";

/// Two apps, two businesses, two people, and what they have.
const WORLD: &str = r#"
[[apps]]
id = "1000000000000001"
secret = "0123456789abcdef0123456789abcdef"
name = "Shop events"
business = "2000000000000001"
redirect_uris = ["https://gate.example/callback"]
developers = ["3000000000000001"]
[[apps.configs]]
id = "1100000000000001"
scopes = ["ads_management"]
system_user = "61550000000001"
[[apps.configs]]
id = "1100000000000002"
scopes = ["ads_read"]

[[apps]]
id = "1000000000000002"
secret = "fedcba9876543210fedcba9876543210"
name = "Other"
mode = "live"
require_proof = true
all_or_nothing = true
redirect_uris = ["https://other.example/callback"]

[[businesses]]
id = "2000000000000001"
name = "Shop Inc."
[[businesses]]
id = "2000000000000002"
name = "Strict Inc."
must_expire = true

[[people]]
id = "3000000000000001"
name = "Alex Example"
businesses = ["2000000000000001", "2000000000000002"]
pixels = ["1234567890123456"]
declined = ["ads_read"]
[[people.pages]]
id = "4000000000000001"
[[people.pages]]
id = "4000000000000002"
tasks = ["ANALYZE"]
withhold_token = true
[[people.pages]]
id = "4000000000000003"
[[people]]
id = "3000000000000002"
name = "Kim Example"

[[pages]]
id = "4000000000000001"
name = "Shop"
[[pages]]
id = "4000000000000002"
name = "Watched only"
[[pages]]
id = "4000000000000003"
name = "Second shop"

[[system_users]]
id = "61550000000001"
name = "Gateway"
role = "ADMIN"
business = "2000000000000001"
apps = ["1000000000000001"]
pixels = ["1234567890123456"]
[[system_users]]
id = "61550000000002"
name = "Helper"
business = "2000000000000001"
[[system_users]]
id = "61550000000003"
name = "Strict"
role = "ADMIN"
business = "2000000000000002"

[[pixels]]
id = "1234567890123456"
name = "Shop website"
business = "2000000000000001"
[[pixels]]
id = "1234567890123457"
name = "Broken"
unavailable = true
"#;

/// A sandbox with this world, and a client that follows no redirect.
struct Rig {
    sandbox: Sandbox,
    client: Client,
}

impl Rig {
    async fn start() -> Self {
        Self::with(toml::from_str(WORLD).unwrap()).await
    }

    async fn with(world: World) -> Self {
        let settings = SandboxSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            world,
            ..SandboxSettings::default()
        };
        let clock = Clock::manual(NOW);
        let sandbox = Sandbox::start(settings, clock).await.unwrap();
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Self { sandbox, client }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.sandbox.url());
        let request = self.client.request(method, url);
        request.timeout(Duration::from_secs(20))
    }

    async fn get(&self, path: &str, token: &str) -> Response {
        let request = self.request(Method::GET, path).bearer_auth(token);
        request.send().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let kind = "application/x-www-form-urlencoded";
        let request = self
            .request(Method::POST, path)
            .header("content-type", kind);
        request.body(body).send().await.unwrap()
    }

    async fn oauth(&self, form: &[(&str, &str)]) -> Response {
        self.post("/v26.0/oauth/access_token", form).await
    }

    /// A code of Alex for the first app.
    async fn code(&self, redirect_uri: &str) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("client_id", APP), ("redirect_uri", redirect_uri)])
            .append_pair("state", "a-state-of-128-bits-or-more")
            .finish();
        let request = self.request(Method::GET, &format!("/v26.0/dialog/oauth?{query}"));
        let sent = request.send().await.unwrap();
        let to = sent.headers()["location"].to_str().unwrap();
        let url = url::Url::parse(to).unwrap();
        let code = url.query_pairs().find(|(name, _)| name == "code");
        code.unwrap().1.into_owned()
    }

    /// What a code of the first app is good for.
    async fn exchange(&self, code: &str) -> Value {
        let form = [
            ("client_id", APP),
            ("client_secret", SECRET),
            ("redirect_uri", "http://localhost:8080/"),
            ("code", code),
        ];
        body(self.oauth(&form).await).await
    }

    /// A longer life for a token of the first app.
    async fn extend(&self, token: &str, more: &[(&str, &str)]) -> Response {
        let mut form = vec![
            ("grant_type", "fb_exchange_token"),
            ("client_id", APP),
            ("client_secret", SECRET),
            ("fb_exchange_token", token),
        ];
        form.extend(more);
        self.oauth(&form).await
    }

    async fn inspect(&self, token: &str, by: &str) -> Response {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("input_token", token)
            .finish();
        self.get(&format!("/v26.0/debug_token?{query}"), by).await
    }

    /// One event with this token.
    async fn send(&self, token: &str) -> Response {
        let request = self.request(Method::POST, &format!("/v26.0/{PIXEL}/events"));
        let members = json!({ "data": [with_id("a")] });
        request
            .bearer_auth(token)
            .json(&members)
            .send()
            .await
            .unwrap()
    }

    /// A token of Alex for the first app.
    fn of_alex(&self, scopes: &[&str]) -> String {
        let spec = json!({ "app": APP, "holder": ALEX, "kind": "user", "scopes": scopes });
        self.mint(spec)
    }

    fn mint(&self, spec: Value) -> String {
        let token: SandboxToken = serde_json::from_value(spec).unwrap();
        self.sandbox.mint_token(token).unwrap()
    }

    fn last(&self) -> AccountCall {
        self.sandbox.account_calls().pop().unwrap()
    }

    fn violations(&self) -> Vec<(&'static str, String)> {
        let seen = self.sandbox.violations();
        seen.into_iter().map(|v| (v.kind, v.path)).collect()
    }
}

async fn body(response: Response) -> Value {
    assert_eq!(response.headers()["x-capigate-sandbox"], "not Meta");
    let status = response.status();
    let body = response.json().await.unwrap();
    assert_eq!(status, 200, "{body}");
    body
}

/// Status, code and subcode of a refusal.
async fn refusal(response: Response) -> (u16, i64, Option<i64>) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    let error = &body["error"];
    assert!(error["fbtrace_id"].is_string(), "{body}");
    (
        status,
        error["code"].as_i64().unwrap(),
        error["error_subcode"].as_i64(),
    )
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
