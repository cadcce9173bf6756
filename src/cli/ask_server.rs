//! Asking the running server something, from the machine it runs on.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// The status and the body of a GET, or why there is none.
pub fn get(server: SocketAddr, path: &str) -> Result<(u16, String), String> {
    let ask = || {
        let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {server}\r\nUser-Agent: keyrack\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(1 << 20).read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().map_err(|err: std::io::Error| err.to_string())?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("it gave no answer that could be read")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("it gave no answer that could be read")?;
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    Ok((status, if is_chunked { without_chunks(body) } else { body.to_owned() }))
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
