//! HTTP as it should not be: what is malformed, too large or meant for another reader, and a handler that panics.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use actix_web::middleware::from_fn;
use actix_web::web::{Data, get, scope};
use actix_web::{App as Actix, HttpResponse, HttpServer};
use keyrack::app::App;
use keyrack::config::Config;
use keyrack::model::clock::Clock;
use keyrack::model::scope::Scope::{UsersRead, UsersWrite};

use crate::support::{Client, Raw, TestServer};

/// Sends bytes; the answer, or none when the server closed instead. Then the server must still serve.
async fn after(server: &TestServer, bytes: impl AsRef<[u8]>) -> Option<u16> {
    let status = Raw::sent(server.addr, bytes).await.reply().await.map(|reply| reply.status);
    server.anonymous().get("/healthz").await.expect(200);
    status
}

#[tokio::test]
async fn what_is_no_http_is_refused_with_400() {
    let server = TestServer::start().await;
    for bytes in [
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\n : y\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: x\r\nA b: y\r\n\r\n",
        "G\0T /healthz HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03",
    ] {
        let status = after(&server, bytes).await;
        assert!(status == Some(400) || bytes.starts_with('\x16') && status.is_none(), "{bytes:?}: {status:?}");
    }
}

#[tokio::test]
async fn a_message_with_two_lengths_is_refused() {
    let server = TestServer::start().await;
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 5\r\n",
        "Content-Length: 4, 5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: +4\r\n",
        "Content-Length: 0x4\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let request = format!(
            "POST /v1/keys/report HTTP/1.1\r\nHost: x\r\n{headers}\r\n0\r\n\r\nGET /v1/smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        let mut raw = Raw::sent(server.addr, request).await;
        let status = raw.reply().await.map(|reply| reply.status);
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{headers:?}: {status:?}");
        assert!(raw.reply().await.is_none_or(|reply| reply.status != 404), "{headers:?}: the second was read");
        server.anonymous().get("/healthz").await.expect(200);
    }
}

#[tokio::test]
async fn a_body_in_broken_chunks_is_refused_and_its_turn_is_free() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersWrite]).await;
    let head = format!(
        "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
        key.secret()
    );
    for chunks in ["zz\r\n{}\r\n0\r\n\r\n", "ffffffffffffffffff\r\n{}", "-1\r\n", "2\r\n{}x\r\n0\r\n\r\n", "\r\n\r\n"] {
        let status = after(&server, format!("{head}{chunks}")).await;
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{chunks:?}: {status:?}");
        crate::support::until("nothing is left of it", || {
            server.app.in_flight.running() + server.app.in_flight.arriving_count() == 0
        })
        .await;
    }
}

#[tokio::test]
async fn a_megabyte_of_headers_is_refused_and_harms_nobody() {
    let server = TestServer::start().await;
    let one = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "x".repeat(1_000_000));
    let many: String = (0..20_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    let url = format!("GET /healthz?{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(1_000_000));
    let endless = "GET /".to_owned() + &"x".repeat(1_000_000);
    for request in [one, many, url, endless] {
        let status = after(&server, request).await;
        assert!(status.is_none_or(|status| (400..500).contains(&status)), "{status:?}");
    }
}

#[tokio::test]
async fn requests_sent_one_behind_the_other_are_answered_in_order() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let request = |id: &str| {
        format!("GET /v1/key HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\nAuthorization: Bearer {}\r\n\r\n", key.secret())
    };
    let mut raw = Raw::sent(server.addr, ["a", "b", "c"].map(request).concat()).await;
    for id in ["a", "b", "c"] {
        assert_eq!(raw.reply().await.expect("an answer").header("x-request-id"), id);
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on_or_why_not() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersWrite]).await;
    let head = |secret: &str| {
        format!(
            "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let mut raw = Raw::sent(server.addr, head(key.secret())).await;
    assert_eq!(raw.reply_to_head().await.expect("an answer").status, 100);
    raw.send("{}").await;
    assert_eq!(raw.reply().await.expect("an answer").error(), "validation_error");
    let mut raw = Raw::sent(server.addr, head("kr_wrong")).await;
    let first = raw.reply_to_head().await.expect("an answer").status;
    assert!([100, 401].contains(&first), "{first}");
}

#[tokio::test]
async fn a_connection_says_nothing_of_the_one_before_it() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead]).await;
    let mut raw =
        Raw::sent(server.addr, format!("GET /v1/key HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", key.secret()))
            .await;
    assert_eq!(raw.reply().await.expect("an answer").status, 200);
    raw.send("GET /v1/key HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(raw.reply().await.expect("an answer").status, 401);
}

/// A server as the program's own but for one more route, which panics.
async fn with_a_panicking_route() -> (Client, actix_web::dev::ServerHandle, tempfile::TempDir) {
    async fn panics() -> HttpResponse {
        panic!("on purpose: the secret is kr_secret");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let app = Arc::new(App::open(&dir.path().join("data"), Config::default(), Clock::real()).expect("opens"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = listener.local_addr().expect("an address");
    let server = HttpServer::new(move || {
        let data = Data::from(app.clone());
        Actix::new()
            .wrap(from_fn(keyrack::http::surround))
            .route("/panics", get().to(panics))
            .service(scope("/a-page").wrap(from_fn(keyrack::http::shell)).route("/panics", get().to(panics)))
            .configure(|cfg| keyrack::http::routes(cfg, data))
    });
    let server = server.workers(1).disable_signals().listen(listener).expect("listens").run();
    let handle = server.handle();
    std::thread::spawn(move || actix_web::rt::System::new().block_on(server));
    (Client::new(addr, None), handle, dir)
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_with_its_request_id() {
    let (client, handle, _dir) = with_a_panicking_route().await;
    let failed = client.header("X-Request-Id", "find-me").get("/panics").await.expect(500);
    assert_eq!((failed.error().as_str(), &failed.json()["request_id"]), ("internal_error", &serde_json::json!("find-me")));
    assert_eq!(failed.header("x-request-id"), "find-me");
    assert_eq!(failed.number("x-ratelimit-limit"), 100, "the limits are on every answer");
    let doc_url = failed.json()["doc_url"].as_str().expect("a link").to_owned();
    assert!(doc_url.starts_with("http://127.0.0.1:") && doc_url.ends_with("/docs/errors/internal_error"), "{doc_url}");
    assert!(!failed.text.contains("purpose") && !failed.text.contains("kr_secret"), "{}", failed.text);
    for _ in 0..5 {
        client.get("/panics").await.expect(500);
    }
    client.get("/healthz").await.expect(200);
    handle.stop(false).await;
}

#[tokio::test]
async fn a_page_that_panics_answers_with_a_page_and_what_keeps_a_browser_safe() {
    let (client, handle, _dir) = with_a_panicking_route().await;
    let failed = client.header("X-Request-Id", "find-me").get("/a-page/panics").await.expect(500);
    assert_eq!(failed.header("content-type"), "text/html; charset=utf-8");
    assert!(failed.text.contains("Something went wrong") && failed.text.contains("find-me"), "{}", failed.text);
    assert!(!failed.text.contains("purpose") && !failed.text.contains("kr_secret"), "{}", failed.text);
    assert!(failed.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("x-request-id", "find-me"),
    ] {
        assert_eq!(failed.header(name), value, "{name}");
    }
    client.get("/a-page/panics").await.expect(500);
    client.get("/healthz").await.expect(200);
    handle.stop(false).await;
}

/// What was logged on this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic while writing").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix_web::test]
async fn the_log_has_the_text_of_a_panic_under_its_request_id() {
    let log = Log::default();
    let writer = log.clone();
    let _logging = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish());
    let dir = tempfile::tempdir().expect("a directory");
    let app = Data::new(App::open(dir.path(), Config::default(), Clock::real()).expect("opens"));
    let of_a_program = async || -> HttpResponse { panic!("on purpose: a program's") };
    let of_a_page = async || -> HttpResponse { panic!("on purpose: {}", "a page's") };
    let router = Actix::new()
        .wrap(from_fn(keyrack::http::surround))
        .route("/panics", get().to(of_a_program))
        .service(scope("/a-page").wrap(from_fn(keyrack::http::shell)).route("/panics", get().to(of_a_page)))
        .configure(|cfg| keyrack::http::routes(cfg, app));
    let router = actix_web::test::init_service(router).await;
    for (path, text) in [("/panics", "on purpose: a program's"), ("/a-page/panics", "on purpose: a page's")] {
        let peer = "127.0.0.1:4000".parse().expect("an address");
        let request = actix_web::test::TestRequest::get().uri(path).peer_addr(peer).insert_header(("X-Request-Id", "find-me"));
        let failed = actix_web::test::try_call_service(&router, request.to_request()).await.err().expect("a fault");
        assert_eq!(failed.error_response().status(), 500, "{path}");
        let logged = String::from_utf8(std::mem::take(&mut *log.0.lock().expect("no panic while writing"))).expect("text");
        assert!(logged.contains(text) && logged.contains("find-me"), "{path}: {logged}");
    }
}

#[tokio::test]
async fn the_programs_own_router_has_no_such_route() {
    let server = TestServer::start().await;
    server.anonymous().get("/panics").await.expect(404);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_bad_request() {
    let server = TestServer::start().await;
    let key = server.key(&[UsersRead, UsersWrite]).await;
    let head = format!(
        "POST /v1/users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        key.secret()
    );
    let mut raw = Raw::sent(server.addr, head).await;
    raw.send("5\r\n{\"a\":\r\nzz\r\n").await;
    let refused = raw.reply().await.expect("an answer");
    assert_eq!((refused.status, refused.error().as_str()), (400, "bad_request"), "{}", refused.text);
}
