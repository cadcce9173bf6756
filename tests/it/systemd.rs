//! What systemd is told, and the sockets that it hands over. Under the real one: `make test-systemd`.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::support::binary::{Keyrack, Server};

/// Where systemd would listen for what its services tell.
fn listening(keyrack: &Keyrack) -> (UnixDatagram, String) {
    let path = keyrack.root.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
    (socket, path.to_str().expect("UTF-8").to_owned())
}

/// The next message that begins so.
fn told(socket: &UnixDatagram, beginning: &str) -> String {
    let mut bytes = [0; 1024];
    loop {
        let read = socket.recv(&mut bytes).unwrap_or_else(|err| panic!("{beginning}: {err}"));
        let message = String::from_utf8_lossy(&bytes[..read]).into_owned();
        if message.starts_with(beginning) {
            return message;
        }
    }
}

#[test]
fn systemd_is_told_when_requests_are_answered_and_when_no_more() {
    let keyrack = Keyrack::new();
    let (socket, path) = listening(&keyrack);
    let server = keyrack.serve_in(&[("NOTIFY_SOCKET", &path)], &[]);
    let ready = told(&socket, "READY=1");
    assert!(ready.contains("STATUS=serving http://127.0.0.1:"), "{ready}");
    server.terminate();
    told(&socket, "STOPPING=1");
    assert_eq!(server.stopped(), 0);
}

#[test]
fn the_watchdog_hears_of_a_server_that_can_read() {
    let keyrack = Keyrack::new();
    let (socket, path) = listening(&keyrack);
    let _server = keyrack.serve_in(&[("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "300000")], &[]);
    told(&socket, "WATCHDOG=1");
    told(&socket, "WATCHDOG=1");
}

/// A server on a socket that stays ours, as with systemd.
fn serve_on(keyrack: &Keyrack, socket: &TcpListener) -> Server {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --json --quiet"]);
    command.arg(env!("CARGO_BIN_EXE_keyrack")).env_clear().env("KEYRACK_DATA", keyrack.data());
    // What the unit's settings say of it does not count.
    command.env("KEYRACK_SERVER_LISTEN", "127.0.0.1:1");
    command.stdin(OwnedFd::from(socket.try_clone().expect("a socket"))).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    Server { child, started: serde_json::from_str(&line).expect("it started") }
}

#[test]
fn a_restart_on_a_socket_of_systemds_refuses_nobody() {
    let keyrack = Keyrack::new();
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = socket.local_addr().expect("an address");
    let over = AtomicBool::new(false);
    let client = || {
        let mut answered = 0;
        while !over.load(Relaxed) {
            let mut stream = TcpStream::connect(addr).expect("nobody is refused");
            stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
            std::io::Write::write_all(&mut stream, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .expect("sent");
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).expect("an answer");
            assert!(line.starts_with("HTTP/1.1 200"), "{line:?}");
            answered += 1;
        }
        answered
    };
    let answered: usize = std::thread::scope(|scope| {
        let mut server = serve_on(&keyrack, &socket);
        assert_eq!(server.addr(), addr);
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(200));
            server.terminate();
            assert_eq!(server.stopped(), 0);
            server = serve_on(&keyrack, &socket);
        }
        over.store(true, Relaxed);
        clients.into_iter().map(|client| client.join().expect("nobody is refused")).sum()
    });
    assert!(answered > 20, "{answered} requests are no load");
}
