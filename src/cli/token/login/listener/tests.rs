//! Each rule of the page, over real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;

use super::*;
use crate::cli::token::login::attempt::tests::{attempt, good};
use crate::cli::token::login::attempt::{Answer, Outcome};
use crate::graph::oauth::Redirect;
use crate::time::Clock;

/// A page on a port of its own.
struct Site {
    port: u16,
    attempt: Arc<Attempt>,
    answered: oneshot::Receiver<Answer>,
    serving: Serving,
}

impl Site {
    async fn open() -> Self {
        let (listener, port) = free().await;
        let (attempt, answered) = attempt(Clock::Real);
        let attempt = Arc::new(attempt);
        let local = Local::of(&format!("http://localhost:{port}/")).unwrap();
        let serving = listener.serve(local, Arc::clone(&attempt));
        Self {
            port,
            attempt,
            answered,
            serving,
        }
    }

    /// Sends `head` as it is, and gives all that comes back.
    async fn say(&self, ip: IpAddr, head: &str) -> String {
        let mut stream = TcpStream::connect((ip, self.port)).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        // a reset is an end, too
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    /// A request as a browser makes it.
    async fn ask(&self, method: &str, target: &str) -> String {
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
            self.port
        );
        self.say(Ipv4Addr::LOCALHOST.into(), &head).await
    }

    fn is_waiting(&mut self) -> bool {
        self.answered.try_recv().is_err()
    }
}

/// A listener on a free port.
async fn free() -> (Listener, u16) {
    for _ in 0..50 {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = probe.local_addr().unwrap().port();
        drop(probe);
        if let Ok(listener) = Listener::bind(port).await {
            return (listener, port);
        }
    }
    panic!("no free port");
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn only_plain_http_to_localhost_is_listened_on() {
    let local = |uri| Local::of(uri).map(|local| (local.port, local.host, local.path));
    let expected = |port, host: &str, path: &str| Some((port, host.to_owned(), path.to_owned()));
    assert_eq!(
        local("http://localhost:8080/"),
        expected(8080, "localhost:8080", "/")
    );
    assert_eq!(
        local("http://localhost/back?a=1"),
        expected(80, "localhost", "/back")
    );
    for elsewhere in [
        "https://localhost:8080/",
        "http://127.0.0.1:8080/",
        "https://www.example.com/",
        "http://localhost.example:8080/",
    ] {
        assert_eq!(local(elsewhere), None, "{elsewhere}");
    }
}

#[tokio::test]
async fn the_answer_is_taken_once_and_told_without_a_part_of_it() {
    let mut site = Site::open().await;
    let target = good(&site.attempt);
    let page = site.ask("GET", &target).await;
    assert_eq!(status(&page), "200", "{page}");
    let lower = page.to_ascii_lowercase();
    for header in [
        "cache-control: no-store",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "connection: close",
    ] {
        assert!(lower.contains(header), "{header}: {page}");
    }
    assert!(
        !page.contains("canary") && !page.contains("state="),
        "{page}"
    );
    let answer = site.answered.try_recv().unwrap();
    assert!(matches!(answer.outcome, Outcome::Came(Redirect::Code(_))));
    // browsers ask again
    let again = site.ask("GET", &target).await;
    assert_eq!(status(&again), "200", "{again}");
    site.serving.stop().await;
}

#[tokio::test]
async fn both_loopback_addresses_are_listened_on() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_err() {
        return;
    }
    let mut site = Site::open().await;
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n",
        good(&site.attempt),
        site.port
    );
    let page = site.say(Ipv6Addr::LOCALHOST.into(), &head).await;
    assert_eq!(status(&page), "200", "{page}");
    assert!(!site.is_waiting());
}

#[tokio::test]
async fn what_is_no_answer_is_refused_and_the_login_goes_on() {
    let mut site = Site::open().await;
    let target = good(&site.attempt);
    for (method, target, expected) in [
        ("GET", "/favicon.ico", "404"),
        ("GET", "/other?code=AQx&state=y", "404"),
        ("GET", "//?code=AQx&state=y", "404"),
        ("HEAD", target.as_str(), "405"),
        ("POST", target.as_str(), "405"),
        ("OPTIONS", target.as_str(), "405"),
        ("GET", "/", "400"),
        ("GET", "/?x=canary", "400"),
    ] {
        let page = site.ask(method, target).await;
        assert_eq!(status(&page), expected, "{method} {target}: {page}");
        assert!(!page.contains("canary"), "{page}");
        assert!(site.is_waiting(), "{method} {target}");
    }
}

#[tokio::test]
async fn a_request_under_another_name_is_refused() {
    let mut site = Site::open().await;
    let (target, port) = (good(&site.attempt), site.port);
    for hosts in [
        "Host: evil.example\r\n".to_owned(),
        format!("Host: evil.example:{port}\r\n"),
        format!("Host: localhost.evil.example:{port}\r\n"),
        format!("Host: 127.0.0.1:{port}\r\n"),
        "Host: localhost\r\n".to_owned(),
        format!("Host: localhost:{}\r\n", port ^ 1),
        String::new(),
        format!("Host: localhost:{port}\r\nHost: evil.example\r\n"),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\n{hosts}\r\n");
        let page = site.say(Ipv4Addr::LOCALHOST.into(), &head).await;
        assert!(matches!(status(&page), "421" | "400"), "{hosts:?}: {page}");
        assert!(site.is_waiting(), "{hosts:?}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_cut_off() {
    let mut site = Site::open().await;
    let huge = format!("X: {}\r\n", "a".repeat(1000)).repeat(MAX_HEAD / 500);
    let head = format!(
        "GET {} HTTP/1.1\r\nHost: localhost:{}\r\n{huge}\r\n",
        good(&site.attempt),
        site.port
    );
    let page = site.say(Ipv4Addr::LOCALHOST.into(), &head).await;
    assert!(page.is_empty() || status(&page) == "431", "{page}");
    assert!(site.is_waiting());
}

#[tokio::test]
async fn those_who_dawdle_make_room() {
    let mut site = Site::open().await;
    let mut slow = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, site.port))
            .await
            .unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        slow.push(stream);
    }
    let start = std::time::Instant::now();
    let target = good(&site.attempt);
    let page = site.ask("GET", &target).await;
    assert_eq!(status(&page), "200", "{page}");
    assert!(!site.is_waiting());
    assert!(start.elapsed() < CONNECTION_TIME, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_busy_port_is_told_and_not_moved_away_from() {
    let (held, port) = free().await;
    let error = Listener::bind(port).await.unwrap_err();
    assert_eq!(error.code(), "port_busy");
    let said = error.to_string();
    assert!(
        said.contains(&port.to_string()) && said.contains("--port"),
        "{said}"
    );
    drop(held);
    let only_v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await;
    if let Ok(_held) = only_v6 {
        let error = Listener::bind(port).await.unwrap_err();
        assert_eq!(error.code(), "port_busy");
    }
}
