//! Asking the running server something, from the machine it runs on.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustls::ClientConnection;

use super::running::Running;
use crate::tls::{CertificateFacts, unverified};

const PATIENCE: Duration = Duration::from_secs(5);
const UNREADABLE: &str = "it gave no answer that could be read";

pub struct Answer {
    pub status: u16,
    pub body: String,
    /// What it showed, where it speaks TLS.
    pub certificate: Option<CertificateFacts>,
}

/// What it answers to a GET, or why it does not.
pub fn get(server: &Running, path: &str) -> Result<Answer, String> {
    let (answer, certificate) = ask(server, path).map_err(|err| err.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(UNREADABLE)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(UNREADABLE)?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { without_chunks(body) } else { body.to_owned() };
    Ok(Answer { status, body, certificate })
}

fn ask(server: &Running, path: &str) -> io::Result<(Vec<u8>, Option<CertificateFacts>)> {
    let mut socket = TcpStream::connect_timeout(&server.listen, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let host = server.listen;
    let question = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: keyrack\r\nConnection: close\r\n\r\n");
    if !server.tls {
        return Ok((exchange(&mut socket, &question)?, None));
    }
    let config = unverified::client_config().map_err(io::Error::other)?;
    let mut connection = ClientConnection::new(config, server.listen.ip().into()).map_err(io::Error::other)?;
    let answer = exchange(&mut rustls::Stream::new(&mut connection, &mut socket), &question)?;
    let shown = connection.peer_certificates().and_then(|chain| CertificateFacts::of(chain.first()?));
    Ok((answer, shown))
}

fn exchange(stream: &mut (impl Read + Write), question: &str) -> io::Result<Vec<u8>> {
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    match stream.take(1 << 20).read_to_end(&mut answer) {
        // Whoever closes without saying so first does what was asked.
        Err(err) if err.kind() != ErrorKind::UnexpectedEof || answer.is_empty() => Err(err),
        _ => Ok(answer),
    }
}

fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let Some(chunk) = usize::from_str_radix(size, 16).ok().filter(|&size| size > 0).and_then(|size| rest.get(..size)) else {
            break;
        };
        whole += chunk;
        body = rest.get(chunk.len() + 2..).unwrap_or_default();
    }
    whole
}

/// The number that a metric has, where it has no labels.
pub fn metric(metrics: &str, name: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_chunks_are_put_together() {
        assert_eq!(without_chunks("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), "abcde");
        assert_eq!(metric("# x\nkeyrack_requests_queued 3\n", "keyrack_requests_queued"), Some(3.0));
    }
}
