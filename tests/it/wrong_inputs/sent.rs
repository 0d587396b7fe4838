//! The request of a row.

use std::collections::BTreeMap;
use std::io::Write as _;

use capigate::time::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::super::harness::{Gateway, KEY, PIXEL};
use super::{Row, key_of};

/// A request, ready to go.
pub(super) struct Sent {
    path: String,
    method: String,
    headers: BTreeMap<String, String>,
    /// Before it is packed.
    plain: Vec<u8>,
    body: Vec<u8>,
    is_raw: bool,
}

impl Sent {
    pub(super) fn of(
        row: &Row,
        bases: &BTreeMap<String, BTreeMap<String, String>>,
        number: usize,
    ) -> Self {
        let text = match (&row.raw, &row.body, &row.data) {
            (Some(raw), ..) => raw.clone(),
            (_, Some(body), _) => body.clone(),
            (_, _, Some(data)) => format!("{{\"data\":[{data}]{}}}", row.beside),
            _ => {
                let base = &bases[row.base.as_deref().unwrap_or("lead")];
                format!("{{\"data\":[{}]{}}}", event(base, row, number), row.beside)
            }
        };
        let plain = expand(&text);
        let key = row.source.as_deref().map_or(KEY.to_owned(), key_of);
        let mut headers = BTreeMap::from([
            ("content-type".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {key}")),
        ]);
        headers.extend(row.headers.clone());
        headers.retain(|_, value| !value.is_empty());
        let path = row.path.clone();
        Self {
            path: path.map_or_else(
                || format!("/v26.0/{PIXEL}/events"),
                |path| String::from_utf8(expand(&path)).unwrap(),
            ),
            method: row.method.clone().unwrap_or_else(|| "POST".to_owned()),
            headers,
            body: pack(row.pack.as_deref(), &plain),
            is_raw: row.raw.is_some(),
            plain,
        }
    }

    /// Whether a text is anywhere in it.
    pub(super) fn has(&self, text: &str) -> bool {
        let headers = self
            .headers
            .values()
            .map(String::as_str)
            .collect::<String>();
        let head = format!("{}{}{headers}", self.path, self.method).to_lowercase();
        let body = String::from_utf8_lossy(&self.plain).to_lowercase();
        head.contains(text) || body.contains(text)
    }

    /// Status and body of the answer.
    pub(super) async fn send(&self, gateway: &Gateway) -> (u16, String) {
        if self.is_raw {
            return self.send_raw(gateway).await;
        }
        let method = reqwest::Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = gateway.http.request(method, gateway.url(&self.path));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.body(self.body.clone()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn send_raw(&self, gateway: &Gateway) -> (u16, String) {
        let addr = gateway.running().ingest_addr();
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        // it may have said no before it has read all
        let _ = stream.write_all(&self.body).await;
        let _ = stream.shutdown().await;
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        let got = String::from_utf8(got).unwrap();
        let (head, body) = got.split_once("\r\n\r\n").unwrap_or((&got, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), body.to_owned())
    }
}

/// The JSON text of a base event with what the row changes about it.
fn event(base: &BTreeMap<String, String>, row: &Row, number: usize) -> String {
    let mut members = base.clone();
    members.insert("event_id".to_owned(), format!("\"row-{number}\""));
    let section = |key: &str| key.split_once('.').map(|(section, _)| section.to_owned());
    // a section that is set or dropped as a whole goes with all that is in it
    let gone = |key: &String| row.drop.contains(key) || row.set.contains_key(key);
    members.retain(|key, _| !gone(key) && !section(key).is_some_and(|section| gone(&section)));
    members.extend(row.set.clone());
    let mut sections: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut parts = Vec::new();
    for (key, raw) in &members {
        match key.split_once('.') {
            Some((section, key)) => sections
                .entry(section.to_owned())
                .or_default()
                .push(format!("\"{key}\":{raw}")),
            None => parts.push(format!("\"{key}\":{raw}")),
        }
    }
    for (section, inner) in sections {
        parts.push(format!("\"{section}\":{{{}}}", inner.join(",")));
    }
    format!("{{{}{}}}", parts.join(","), row.more)
}

/// Replaces what stands between `«` and `»`, the innermost first.
fn expand(text: &str) -> Vec<u8> {
    let (open, close) = ("«".as_bytes(), "»".as_bytes());
    let at = |bytes: &[u8], mark: &[u8]| bytes.windows(2).position(|two| two == mark);
    let mut done = Vec::new();
    let mut rest = text.as_bytes().to_vec();
    while let Some(end) = at(&rest, close) {
        let start = rest[..end].windows(2).rposition(|two| two == open).unwrap();
        let inner = String::from_utf8(rest[start + 2..end].to_vec()).unwrap();
        let tail = rest.split_off(end + 2);
        rest.truncate(start);
        rest.extend(value(&inner));
        // nothing before the next mark is looked at again
        if at(&rest, open).is_none() {
            done.append(&mut rest);
        }
        rest.extend(tail);
    }
    done.extend(rest);
    done
}

fn value(text: &str) -> Vec<u8> {
    let now = Clock::Real.now();
    if let Some(byte) = text.strip_prefix("0x") {
        return vec![u8::from_str_radix(byte, 16).unwrap()];
    }
    if text == "nowms" {
        return now.0.to_string().into_bytes();
    }
    if let Some(shift) = text.strip_prefix("now") {
        let seconds = match shift.strip_suffix('d') {
            Some(days) => days.parse::<i64>().unwrap() * 86_400,
            None => shift.parse().unwrap(),
        };
        return (now.secs() + seconds).to_string().into_bytes();
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: usize = text[..digits].parse().unwrap();
    let (kind, what) = text[digits..].split_at(1);
    match kind {
        "*" => what.repeat(count).into_bytes(),
        _ => (0..count)
            .flat_map(|n| what.replace('#', &n.to_string()).into_bytes())
            .collect(),
    }
}

fn pack(how: Option<&str>, plain: &[u8]) -> Vec<u8> {
    let Some(how) = how else {
        return plain.to_vec();
    };
    if how.starts_with("zstd") {
        let mut packed = zstd::encode_all(plain, 19).unwrap();
        if how == "zstd-cut" {
            packed.truncate(packed.len() / 2);
        }
        return match how {
            "zstd-gzip" => pack(Some("gzip"), &packed),
            _ => packed,
        };
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain).unwrap();
    let mut packed = encoder.finish().unwrap();
    match how {
        "gzip" => {}
        "gzip-cut" => packed.truncate(packed.len() / 2),
        "gzip-sum" => {
            let at = packed.len() - 8;
            packed[at] ^= 1;
        }
        "gzip-more" => packed.extend(b"canary"),
        other => panic!("no such packing: {other}"),
    }
    packed
}
