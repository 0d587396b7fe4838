//! The client against a server that says one thing after the other.

mod answers;
mod dataset_quality;
mod failures;
mod requests;

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::time::UnixMs;

pub(super) const TOKEN: &str = "EAABtokencanary0123456789";
pub(super) const APP_SECRET: &str = "appsecretcanary0123456789abcdef";
pub(super) const CODE: &str = "AQDcodecanary0123456789";
pub(super) const OTHER: &str = "EAABothercanary9876543210";

/// What the server was asked.
#[derive(Debug)]
pub(super) struct Asked {
    /// Method and target.
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

pub(super) fn client(url: &str) -> OauthClient {
    client_within(url, Duration::from_secs(20))
}

fn client_within(url: &str, timeout: Duration) -> OauthClient {
    let settings = OauthSettings {
        graph_url: url.parse().unwrap(),
        dialog_url: "https://www.facebook.com".parse().unwrap(),
        version: "v26.0".to_owned(),
        timeout,
        connect_timeout: Duration::from_secs(20),
    };
    // 1994-11-06T08:49:37Z
    OauthClient::new(settings, Clock::manual(UnixMs::from_secs(784_111_777))).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn app() -> App {
    App {
        id: "1234567890123456".to_owned(),
        secret: secret(APP_SECRET),
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

fn refused(body: &str) -> String {
    answer("400 Bad Request", "", body)
}

/// Lets `call` talk to a server that gives each of `answers` to one request and hangs up.
async fn talk<T>(answers: &[String], call: impl AsyncFnOnce(OauthClient) -> T) -> (T, Vec<Asked>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = async {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            asked.push(read(&mut stream).await);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    };
    tokio::join!(call(client(&url)), served)
}

async fn read(stream: &mut tokio::net::TcpStream) -> Asked {
    let mut bytes = Vec::new();
    let (head, rest) = loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            break (head.to_owned(), rest.len());
        }
    };
    let mut lines = head.lines();
    let line = lines.next().unwrap().replace(" HTTP/1.1", "");
    let headers: BTreeMap<String, String> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = (headers.get("content-length")).map_or(0, |length| length.parse().unwrap());
    let mut left = length - rest;
    while left > 0 {
        let more = stream.read_buf(&mut bytes).await.unwrap();
        assert_ne!(more, 0);
        left -= more;
    }
    let body = bytes.split_off(bytes.len() - length);
    Asked {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    }
}
