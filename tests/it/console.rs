//! The console: who gets in, what keeps others out, and that a change is done once and noted.

use capigate::app::admin::MAX_GUESSES;
use capigate::config::{Config, KeyRef};
use reqwest::header::{CONTENT_SECURITY_POLICY, HeaderMap, LOCATION, SET_COOKIE};
use sha2::{Digest, Sha256};

use crate::harness::Gateway;

pub(crate) const ADMIN: &str = "the-admin-key";
pub(crate) const VIEW: &str = "the-view-key";

pub(crate) fn keyed(config: &mut Config) {
    let digest = |key: &str| KeyRef::Sha256(Sha256::digest(key).into());
    config.admin.keys = vec![digest(ADMIN)];
    config.admin.view_keys = vec![digest(VIEW)];
}

/// What the console answered.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Seen {
    /// Where it sends the browser.
    pub(crate) fn goes_to(&self) -> &str {
        self.headers[LOCATION].to_str().unwrap()
    }
}

/// Somebody who is signed in, without a script.
pub(crate) struct Browser {
    client: reqwest::Client,
    base: String,
    cookie: String,
}

impl Browser {
    /// One who has not signed in yet.
    pub(crate) fn new(gateway: &Gateway) -> Self {
        Self::at(&format!("http://{}", gateway.running().admin_addr()))
    }

    /// The same, of a gateway in a process of its own.
    pub(crate) fn at(base: &str) -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none());
        Self {
            client: client.build().unwrap(),
            base: base.to_owned(),
            cookie: String::new(),
        }
    }

    /// One who has.
    pub(crate) async fn signed_in(gateway: &Gateway, key: &str) -> Self {
        let mut browser = Self::new(gateway);
        browser.sign_in(key).await;
        browser
    }

    pub(crate) async fn sign_in(&mut self, key: &str) {
        let seen = self.try_key(key).await;
        assert_eq!(seen.status, 303, "{seen:?}");
        let cookie = seen.headers[SET_COOKIE].to_str().unwrap();
        cookie
            .split(';')
            .next()
            .unwrap()
            .clone_into(&mut self.cookie);
    }

    async fn try_key(&self, key: &str) -> Seen {
        self.post_raw("/console/login", &[("key", key), ("to", "/console/system")])
            .await
    }

    /// The first event of a stream.
    pub(crate) async fn first_of(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = request.header("cookie", &self.cookie);
        let mut response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        while !text.ends_with("\n\n") {
            let piece = response.chunk().await.unwrap().unwrap();
            text.push_str(std::str::from_utf8(&piece).unwrap());
        }
        text
    }

    pub(crate) async fn get(&self, path: &str) -> Seen {
        let request = self.client.get(format!("{}{path}", self.base));
        self.send(request.header("accept", "text/html")).await
    }

    /// A stream of a page.
    pub(crate) async fn open(&self, url: &str) -> reqwest::Response {
        let request = self.client.get(url).header("cookie", &self.cookie);
        request.send().await.unwrap()
    }

    /// Sends a form as a page of this session would.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let page = self.get("/console/system").await.text;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
        let csrf = csrf.split('"').next().unwrap();
        let mut all = vec![("csrf", csrf)];
        all.extend(fields);
        self.post_raw(path, &all).await
    }

    pub(crate) async fn post_raw(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        self.send(self.form(path, fields)).await
    }

    fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let request = self.client.post(format!("{}{path}", self.base));
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.extend_pairs(fields).finish())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Seen {
        let response = request.header("cookie", &self.cookie).send().await.unwrap();
        Seen {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_without_a_key() {
    let gateway = Gateway::with(keyed).await;
    let stranger = Browser::new(&gateway);
    let seen = stranger.get("/console/system?a=b").await;
    assert_eq!(
        (seen.status, seen.goes_to()),
        (303, "/console/login?to=%2Fconsole%2Fsystem%3Fa%3Db")
    );
    let long = format!("/console/system?a={}", "b".repeat(9000));
    assert_eq!(
        stranger.get(&long).await.goes_to(),
        "/console/login?to=%2Fconsole"
    );
    let seen = stranger.get("/").await;
    assert_eq!((seen.status, seen.goes_to()), (303, "/console"));
    let seen = stranger.get("/console/login?to=/console/system").await;
    assert_eq!(seen.status, 200);
    let policy = seen.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(seen.text.contains("type=\"password\""), "{}", seen.text);
    let seen = stranger.post_raw("/console/system/reload", &[]).await;
    assert_eq!(seen.status, 303);
    for _ in 0..MAX_GUESSES {
        let seen = stranger.try_key("a-wrong-key").await;
        assert_eq!(seen.status, 401);
        assert!(!seen.text.contains("a-wrong-key"));
        assert!(!seen.headers.contains_key(SET_COOKIE));
    }
    // a right one comes too late now
    let seen = stranger.try_key(ADMIN).await;
    assert_eq!(seen.status, 429);
    assert!(seen.headers.contains_key("retry-after"));
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_the_console_is_closed() {
    let gateway = Gateway::start().await;
    let stranger = Browser::new(&gateway);
    for path in ["/console/system", "/console/login"] {
        let seen = stranger.get(path).await;
        assert_eq!(seen.status, 403);
        assert!(seen.text.contains("admin.keys"), "{}", seen.text);
    }
    assert_eq!(stranger.try_key("").await.status, 403);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_needs_the_role_the_token_and_a_page_of_ours() {
    let gateway = Gateway::with(keyed).await;
    let viewer = Browser::signed_in(&gateway, VIEW).await;
    let page = viewer.get("/console/system").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("journal.max_bytes"), "{}", page.text);
    assert!(!page.text.contains("/console/system/reload\""));
    let seen = viewer.post("/console/system/reload", &[]).await;
    assert_eq!(seen.status, 403);
    assert!(seen.text.contains("view_only"), "{}", seen.text);

    let admin = Browser::signed_in(&gateway, ADMIN).await;
    let path = "/console/system/reload";
    for fields in [vec![], vec![("csrf", "")], vec![("csrf", "0123")]] {
        let seen = admin.post_raw(path, &fields).await;
        assert_eq!(seen.status, 403);
        assert!(seen.text.contains("foreign_form"), "{}", seen.text);
    }
    let page = admin.get("/console/system").await.text;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap();
    let csrf = csrf.split('"').next().unwrap();
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = admin.form(path, &[("csrf", csrf)]).header(name, value);
        assert_eq!(admin.send(request).await.status, 403, "{name}: {value}");
    }
    let seen = admin.post(path, &[]).await;
    assert_eq!((seen.status, seen.goes_to()), (303, "/console/system"));
    let said = |text: &str| text.contains("class=\"notice\"");
    assert!(said(&admin.get("/console/system").await.text));
    assert!(!said(&admin.get("/console/system").await.text), "once");
    let seen = admin.post("/console/system/reload", &[("a", "b")]).await;
    assert_eq!(seen.status, 400);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_out() {
    let gateway = Gateway::with(keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    assert_eq!(browser.get("/console/system").await.status, 200);
    let seen = browser.post_raw("/console/logout", &[]).await;
    assert_eq!(seen.status, 403);
    assert_eq!(browser.get("/console/system").await.status, 200);
    let seen = browser.post("/console/logout", &[]).await;
    assert_eq!((seen.status, seen.goes_to()), (303, "/console/login"));
    assert_eq!(browser.get("/console/system").await.status, 303);
    gateway.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_comes_as_events() {
    let gateway = Gateway::with(keyed).await;
    let browser = Browser::signed_in(&gateway, VIEW).await;
    let text = browser.first_of("/console/system/stream").await;
    assert!(
        text.starts_with("retry: 500\nevent: page\ndata: \""),
        "{text}"
    );
    gateway.finish().await;
}
