//! The listener, what surrounds every request, and the surfaces mounted under it.

pub mod api;
pub mod arrival;
mod assets;
pub mod audit;
pub mod authorization;
pub mod body;
pub mod client_addr;
mod csrf;
pub mod docs;
mod elevation;
mod faults;
mod health;
mod metrics;
mod moment;
mod oauth;
mod oauth_refusal;
mod page;
mod pages;
pub mod params;
mod samples;
mod shell;
mod shown_path;
mod signed_in;
mod well_known;
pub mod words;

use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HOST, HeaderName, HeaderValue, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::web::{Data, ServiceConfig, scope, to};
use actix_web::{App as Actix, Error, HttpMessage, HttpServer};
use futures_util::FutureExt;
use tracing::field::display;

use crate::app::App;
use crate::config::TlsMode;
use crate::model::AppError;
use arrival::{Arrival, Whose, has_access_log};
pub use shell::shell;
use shown_path::shown_path;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// Two years of HTTPS alone: said over HTTPS only (RFC 6797 §7.2).
const HTTPS_FOR_LONG: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Idle connections are kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The server, on listeners that are open already: the main one, which speaks TLS when that is on, and one for plain HTTP
/// beside it. It is not stopped by signals: whoever starts it does that.
pub fn server(app: Arc<App>, listener: TcpListener, plain: Option<TcpListener>) -> std::io::Result<Server> {
    let config = &app.config.server;
    let workers = match config.workers {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        n => n,
    };
    let (header_timeout, drain) = (config.header_timeout, config.drain_timeout);
    let tls = (app.config.tls.mode != TlsMode::Off).then(|| app.certificates.server_config());
    let data = Data::from(app);
    let server = HttpServer::new(move || {
        let data = data.clone();
        Actix::new().wrap(from_fn(surround)).configure(move |cfg| routes(cfg, data))
    });
    let server = server
        .workers(workers)
        .disable_signals()
        // A client that closed its half has gone: it must not keep its place in the queue.
        .h1_allow_half_closed(false)
        .client_request_timeout(header_timeout)
        .tls_handshake_timeout(header_timeout)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(drain.as_secs());
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls)?,
        None => server.listen(listener)?,
    };
    let server = match plain {
        Some(plain) => server.listen(plain)?,
        None => server,
    };
    Ok(server.run())
}

/// Every surface. The routes that programs call most come first: each one before another costs it a comparison.
pub fn routes(cfg: &mut ServiceConfig, app: Data<App>) {
    cfg.app_data(app);
    api::routes(cfg);
    health::routes(cfg);
    metrics::routes(cfg);
    assets::routes(cfg);
    oauth::routes(cfg);
    well_known::routes(cfg);
    // Last, since a scope without a prefix answers whatever is left.
    cfg.service(
        scope("")
            .wrap(from_fn(shell))
            .wrap(Compress::default())
            .configure(pages::routes)
            .configure(oauth::page_routes)
            .configure(docs::routes)
            .default_service(to(shell::nothing_here)),
    );
}

/// What surrounds every request, outermost: where it came from, its id, HEAD, panics, the log.
pub async fn surround(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let app = req.app_data::<Data<App>>().cloned().expect("the app is put into every server");
    let dialect = app.dialect();
    let arrival = Rc::new(Arrival::of(&req, &app.config.server.trusted_proxies, dialect, app.clock.both()));
    if arrival.client.ignored_forwarding {
        arrival::tell_of_ignored_proxy(&app, arrival.client.ip);
    }
    // Taken before the request is passed on: nothing may hold it then.
    let logged = has_access_log().then(|| (Instant::now(), req.method().clone(), shown_path(req.path())));
    let at_panic = (req.uri().clone(), req.headers().get(HOST).cloned());
    // `resource` would answer HEAD with 405. The encoder knows by itself that it owes no body.
    if req.method() == Method::HEAD {
        req.head_mut().method = Method::GET;
    }
    req.extensions_mut().insert(arrival.clone());
    api::at_root(&mut req, dialect);

    let answered = AssertUnwindSafe(next.call(req)).catch_unwind().await;
    let mut answered = match answered {
        Ok(answered) => answered,
        Err(panic) => {
            let (uri, host) = at_panic;
            tracing::error!(request_id = %arrival.request_id, path = %shown_path(uri.path()), error = faults::words_of(&*panic), "a handler panicked");
            let error = AppError::internal("a handler panicked");
            Err(InternalError::from_response("", api::fault(&app, &arrival, host.as_ref(), &error)).into())
        }
    };
    let (status, headers) = match &mut answered {
        Ok(response) => (response.status(), Some(response.headers_mut())),
        Err(err) => (err.as_response_error().status_code(), None),
    };
    if let Some(headers) = headers {
        if let Ok(value) = HeaderValue::from_str(&arrival.request_id) {
            headers.insert(X_REQUEST_ID, value);
        }
        headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if arrival.client.https {
            headers.insert(STRICT_TRANSPORT_SECURITY, HTTPS_FOR_LONG);
        }
    }
    if let Ok(response) = &mut answered
        && app.draining.load(Ordering::Relaxed)
    {
        // The client's next request must not come to a connection that is about to close.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    if let Some((began, method, path)) = logged {
        let (ip, id) = (arrival.client.ip, &arrival.request_id);
        let ms = began.elapsed().as_secs_f64() * 1e3;
        let whose = answered.as_ref().ok().and_then(|response| response.request().extensions().get::<Whose>().copied());
        let Whose { key_id, user_id } = whose.unwrap_or_default();
        let (key_id, user_id) = (key_id.map(display), user_id.map(display));
        tracing::info!(target: "access", %method, %path, status = status.as_u16(), ms = %format_args!("{ms:.1}"), %ip, request_id = %id, key_id, user_id);
    }
    answered
}
