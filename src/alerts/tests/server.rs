//! Servers that say one thing: HTTP and SMTP, in clear and with the test certificate.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
pub(super) struct Request {
    pub(super) head: String,
    pub(super) raw: String,
    pub(super) body: Value,
}

fn pem(name: &str) -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

/// The certificate of the servers here; for 127.0.0.1.
pub(super) fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pem("cert.pem")).unwrap()
}

pub(super) fn acceptor() -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate()],
            PrivateKeyDer::from_pem_file(pem("key.pem")).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

pub(super) fn web_answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Answers each request; `answer` gets the number of the request, from 1.
pub(super) async fn web(
    answer: impl Fn(usize) -> String + Send + 'static,
) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/hook/canary-path-0123",
        listener.local_addr().unwrap()
    );
    let (came, requests) = channel(100);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for n in 1.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            stream.write_all(answer(n).as_bytes()).await.unwrap();
            if came.send(request).await.is_err() {
                return;
            }
        }
    });
    tasks.detach_all();
    (url, requests)
}

pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Request {
    let mut read = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
        let text = String::from_utf8(read.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if let Ok(value) = serde_json::from_str(body) {
            return Request {
                head: head.to_owned(),
                raw: body.to_owned(),
                body: value,
            };
        }
    }
}

/// Speaks SMTP as far as a client here needs it: `script` maps the first word of a line to an
/// answer, and gives none where the usual one will do. Returns what the client said, and the
/// stream when it asked for STARTTLS.
pub(super) async fn chat<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    greet: bool,
    script: impl Fn(&str) -> Option<&'static str>,
) -> (Vec<String>, Option<S>) {
    let mut stream = BufReader::new(stream);
    let mut said = Vec::new();
    if greet {
        let greeting = script("greeting").unwrap_or("220 mail.example ready");
        stream
            .write_all(format!("{greeting}\r\n").as_bytes())
            .await
            .unwrap();
    }
    let mut in_data = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return (said, None);
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        said.push(line.clone());
        let word = line.split([' ', ':']).next().unwrap().to_owned();
        let usual = match word.as_str() {
            "." if in_data => {
                in_data = false;
                "250 2.0.0 taken"
            }
            _ if in_data => continue,
            "EHLO" => "250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN",
            "AUTH" => "235 2.7.0 welcome",
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "STARTTLS" => "220 go on",
            "QUIT" => "221 bye",
            _ => "250 2.1.0 fine",
        };
        let answer = script(&word).unwrap_or(usual);
        in_data &= word != "DATA" || answer.starts_with('3');
        let written = stream.write_all(format!("{answer}\r\n").as_bytes()).await;
        if word == "STARTTLS" && answer.starts_with('2') {
            return (said, Some(stream.into_inner()));
        }
        if word == "QUIT" || written.is_err() {
            return (said, None);
        }
    }
}
