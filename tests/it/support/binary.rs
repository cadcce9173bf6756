//! The binary itself, on a data directory of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

pub const PASSWORD: &str = "securepassword123";

/// A data directory, and the program working on it.
pub struct Keyrack {
    pub root: tempfile::TempDir,
}

pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Keyrack {
    pub fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a directory") }
    }

    pub fn with_admin() -> Self {
        let keyrack = Self::new();
        keyrack.feed(PASSWORD, &["admin", "create", "--email", "ada@example.com", "--password-file", "-"]).ok();
        keyrack
    }

    pub fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keyrack"));
        command.arg0("keyrack");
        command.current_dir(self.root.path()).env_clear().env("KEYRACK_DATA", self.data()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn run(&self, args: &[&str]) -> Done {
        finished(self.command(args).spawn().expect("the binary starts"))
    }

    pub fn feed(&self, input: &str, args: &[&str]) -> Done {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().expect("the binary starts");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        finished(child)
    }

    pub fn json(&self, args: &[&str]) -> Value {
        self.run(&[args, &["--json"]].concat()).json()
    }

    pub fn serve(&self, args: &[&str]) -> Server {
        self.serve_in(&[], args)
    }

    pub fn serve_in(&self, environment: &[(&str, &str)], args: &[&str]) -> Server {
        let mut child = self.command(&[&["serve", "--json"], args].concat());
        let child = child.env("KEYRACK_SERVER_LISTEN", "127.0.0.1:0").envs(environment.iter().copied());
        let mut child = child.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let started = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut err = String::new();
            child.stderr.take().expect("a pipe").read_to_string(&mut err).expect("text");
            panic!("the server did not start: {err}")
        });
        Server { child, started }
    }
}

impl Done {
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    pub fn json(self) -> Value {
        let done = self.ok();
        serde_json::from_str(&done.out).unwrap_or_else(|err| panic!("{err}: {}", done.out))
    }

    #[track_caller]
    pub fn fails(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        assert!(self.err.contains(words), "`{words}` is not in:\n{}", self.err);
    }
}

pub fn finished(child: Child) -> Done {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

pub struct Server {
    pub child: Child,
    pub started: Value,
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.started["url"].as_str().expect("a url"))
    }

    pub fn addr(&self) -> SocketAddr {
        text(&self.started["listen"]).parse().expect("an address")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr()).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        stream
    }

    pub fn get(&self, path: &str, secret: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nConnection: close\r\n\r\n")
            .expect("sent");
        stream
    }

    pub fn status(&self, path: &str, secret: &str) -> u16 {
        status_of(self.get(path, secret))
    }

    pub fn terminate(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    }

    pub fn stopped(mut self) -> i32 {
        let status = self.child.wait().expect("it ends");
        status.code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn status_of(stream: TcpStream) -> u16 {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status line: {line:?}"))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
