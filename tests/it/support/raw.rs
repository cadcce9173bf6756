//! A connection on which the test itself says which bytes go over it, and when.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Reply;

pub struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self { stream, read: Vec::new() }
    }

    /// Connects and sends a first piece.
    pub async fn sent(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> Self {
        let mut raw = Self::connect(addr).await;
        raw.send(bytes).await;
        raw
    }

    /// What the server has closed meanwhile cannot be sent to; its answer, if any, is still there to be read.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        drop(self.stream.write_all(bytes.as_ref()).await);
    }

    /// The next answer. None: the server closed the connection without one.
    pub async fn reply(&mut self) -> Option<Reply> {
        tokio::time::timeout(Duration::from_secs(20), self.read_reply(true)).await.expect("an answer within 20 s")
    }

    /// The answer to a HEAD, whose `Content-Length` tells of a body that does not come.
    pub async fn reply_to_head(&mut self) -> Option<Reply> {
        tokio::time::timeout(Duration::from_secs(20), self.read_reply(false)).await.expect("an answer within 20 s")
    }

    /// Whether the server closes the connection; gives what it still sent.
    pub async fn closes(&mut self) -> Option<Vec<u8>> {
        let all = self.stream.read_to_end(&mut self.read);
        tokio::time::timeout(Duration::from_secs(20), all).await.ok()?.ok()?;
        Some(std::mem::take(&mut self.read))
    }

    async fn read_reply(&mut self, has_body: bool) -> Option<Reply> {
        let head = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break self.read.drain(..end + 4).collect::<Vec<u8>>();
            }
            self.more().await?;
        };
        let head = String::from_utf8(head).expect("a head of visible characters");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("a status");
        let mut headers = HeaderMap::new();
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            let name: HeaderName = name.parse().expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        let length: Option<usize> = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = match length {
            _ if !has_body || status == 204 || status == 304 => Vec::new(),
            Some(length) => {
                while self.read.len() < length {
                    self.more().await?;
                }
                self.read.drain(..length).collect()
            }
            None => {
                while self.more().await.is_some() {}
                std::mem::take(&mut self.read)
            }
        };
        Some(Reply { status, headers, text: String::from_utf8_lossy(&body).into_owned() })
    }

    async fn more(&mut self) -> Option<()> {
        let mut piece = [0; 16_384];
        match self.stream.read(&mut piece).await {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                self.read.extend_from_slice(&piece[..n]);
                Some(())
            }
        }
    }
}
