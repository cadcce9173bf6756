//! Certificates for a server to show, and a client that speaks TLS and trusts one of them alone.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyrack::model::clock::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    /// One that ends then, and began a day before this.
    pub fn between(now: Timestamp, ends_at: Timestamp) -> Self {
        let mut params = CertificateParams::new(["keys.example.com".to_owned()]).expect("a name");
        let at = |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at.seconds() as u64);
        params.not_before = at(now.saturating_sub(super::DAY));
        params.not_after = at(ends_at);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { certificate, key: key.serialize_pem() }
    }

    pub fn for_days(now: Timestamp, days: u32) -> Self {
        Self::between(now, now.saturating_add(super::DAY * days))
    }

    /// Into two files of this directory.
    pub fn write(&self, dir: &Path) {
        write_private(&dir.join("cert.pem"), &self.certificate);
        write_private(&dir.join("key.pem"), &self.key);
    }
}

pub fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.expect("a new file").write_all(text.as_bytes()).expect("written");
}

#[derive(Debug)]
struct At(Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.seconds() as u64)))
    }
}

pub struct TlsClient {
    pub addr: SocketAddr,
    name: &'static str,
    config: Arc<ClientConfig>,
}

impl TlsClient {
    /// Trusts the first certificate of this PEM, at this time.
    pub fn trusting(addr: SocketAddr, pem: &str, now: Timestamp) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")).expect("a certificate");
        let config = ClientConfig::builder_with_details(keyrack::tls::provider(), Arc::new(At(now)));
        let config = config.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
        Self { addr, name: "keys.example.com", config: Arc::new(config.with_no_client_auth()) }
    }

    pub fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// A connection whose handshake is done.
    pub fn connect(&self) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        self.handshake(TcpStream::connect(self.addr)?)
    }

    pub fn handshake(&self, mut socket: TcpStream) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        let name = ServerName::try_from(self.name).expect("a name");
        let mut connection = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(connection, socket))
    }

    /// The head of the answer to GET, in small letters.
    pub fn get(&self, path: &str, headers: &str) -> io::Result<String> {
        let mut stream = self.connect()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.name)?;
        let mut all = Vec::new();
        // Whoever closes without saying so first is what `Connection: close` was asked for.
        let _ = stream.read_to_end(&mut all);
        let text = String::from_utf8_lossy(&all);
        Ok(text.split("\r\n\r\n").next().unwrap_or_default().to_lowercase())
    }

    pub fn is_shown_what_it_trusts(&self) -> bool {
        self.connect().is_ok()
    }
}

/// The next answer on a connection that stays: its status, and whether it is the last one.
pub fn next_answer(answers: &mut impl BufRead) -> Option<(u16, bool)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        answers.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().to_lowercase() {
            end if end.is_empty() => break,
            line => head.push(line),
        }
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0").parse().ok()?;
    answers.read_exact(&mut vec![0; length]).ok()?;
    let status = head[0].split(' ').nth(1)?.parse().ok()?;
    Some((status, head.iter().any(|line| line == "connection: close")))
}
