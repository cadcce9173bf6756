//! Whoever is told of events: takes requests, remembers them, and answers as it is told to.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// One request, as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: String,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }
}

#[derive(Clone)]
pub enum Answer {
    /// A status, more lines of the head, and a body.
    Says(u16, &'static str, String),
    Hangs,
}

pub struct Receiver {
    pub port: u16,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<(VecDeque<Answer>, Answer)>>,
}

impl Receiver {
    /// Takes whatever comes.
    pub async fn start() -> Self {
        Self::on("127.0.0.1:0", None).await
    }

    pub async fn with_tls(acceptor: TlsAcceptor) -> Self {
        Self::on("127.0.0.1:0", Some(acceptor)).await
    }

    async fn on(addr: &str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(addr).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let takes = Answer::Says(204, "", String::new());
        let receiver = Self { port, received: Arc::default(), answers: Arc::new(Mutex::new((VecDeque::new(), takes))) };
        let (received, answers) = (receiver.received.clone(), receiver.answers.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let (received, answers, tls) = (received.clone(), answers.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &received, &answers).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &received, &answers).await;
                            }
                        }
                    }
                });
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    /// The next answer that is not yet decided.
    pub fn answers_once(&self, answer: Answer) {
        self.answers.lock().0.push_back(answer);
    }

    pub fn answers(&self, answer: Answer) {
        self.answers.lock().1 = answer;
    }

    pub fn fails(&self) {
        self.answers(Answer::Says(500, "", "broken".into()));
    }

    pub fn recovers(&self) {
        self.answers(Answer::Says(204, "", String::new()));
    }

    /// What has come since the last call.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock())
    }

    pub fn count(&self) -> usize {
        self.received.lock().len()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    received: &Mutex<Vec<Received>>,
    answers: &Mutex<(VecDeque<Answer>, Answer)>,
) {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        let mut chunk = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
        bytes.extend_from_slice(&chunk[..read]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.trim().parse().ok());
        break (head, end + 4 + length.unwrap_or(0_usize));
    };
    while bytes.len() < length {
        let mut chunk = [0; 4096];
        let Ok(read @ 1..) = stream.read(&mut chunk).await else { return };
        bytes.extend_from_slice(&chunk[..read]);
    }
    let start = head.len() + 4;
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    received.lock().push(Received {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: String::from_utf8_lossy(&bytes[start..]).into_owned(),
    });
    let answer = {
        let mut answers = answers.lock();
        answers.0.pop_front().unwrap_or_else(|| answers.1.clone())
    };
    match answer {
        Answer::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
        Answer::Says(status, head, body) => {
            let length = if status == 204 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
            let text =
                format!("HTTP/1.1 {status} Said\r\ncontent-type: text/plain\r\n{head}{length}connection: close\r\n\r\n{body}");
            // Whoever has read enough goes away.
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }
}
