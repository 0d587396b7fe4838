//! A webhook that keeps what it is sent, and answers as it is told.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// The most of a message that is read.
const MAX_MESSAGE: usize = 64 << 10;

pub(super) struct Hook {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    answer: Arc<Mutex<String>>,
    _serving: JoinSet<()>,
}

impl Hook {
    pub(super) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(String::new()));
        let (copy, told) = (Arc::clone(&heard), Arc::clone(&answer));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let told = told.lock().unwrap().clone();
                let message = take(stream, &told).await;
                copy.lock().unwrap().push(message);
            }
        });
        let hook = Self {
            port,
            heard,
            answer,
            _serving: serving,
        };
        hook.answers("200 OK", "");
        hook
    }

    /// What it answers from now on.
    pub(super) fn answers(&self, status: &str, body: &str) {
        let length = body.len();
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }

    /// What it was sent, without the address.
    pub(super) fn messages(&self) -> Vec<Vec<u8>> {
        let heard = self.heard.lock().unwrap();
        let after_first_line = |message: &Vec<u8>| {
            let end = message.iter().position(|byte| *byte == b'\n');
            message[end.map_or(0, |end| end + 1)..].to_vec()
        };
        heard.iter().map(after_first_line).collect()
    }
}

/// Reads one message and answers it.
async fn take(mut stream: TcpStream, answer: &str) -> Vec<u8> {
    let mut message = Vec::new();
    while message.len() < MAX_MESSAGE {
        let text = String::from_utf8_lossy(&message);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        if body.is_some_and(|body| serde_json::from_str::<serde_json::Value>(body).is_ok()) {
            break;
        }
        match stream.read_buf(&mut message).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    // whoever asked may be gone
    let _ = stream.write_all(answer.as_bytes()).await;
    message
}
