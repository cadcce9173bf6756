//! What systemd and a service tell each other (sd_notify(3), sd_listen_fds(3)). Started otherwise, none of it does anything.

use std::net::TcpListener;
use std::sync::Arc;

use sd_notify::NotifyState;

use super::failure::Failure;
use crate::app::App;
use crate::model::error::in_full;
use crate::services::maintenance;

/// The sockets that systemd opened and keeps open: nobody is refused while the service starts again, and it needs no
/// permission for low ports. The first is the main one, a second one is for plain HTTP beside TLS.
#[derive(Default)]
pub struct Sockets {
    pub main: Option<TcpListener>,
    pub plain: Option<TcpListener>,
}

impl Sockets {
    pub fn handed_over() -> anyhow::Result<Self> {
        let mut given = listenfd::ListenFd::from_env();
        let mut taken = Vec::new();
        for n in 0..given.len() {
            let socket = given.take_tcp_listener(n);
            taken.extend(socket.map_err(|err| Failure::failed(format!("Socket {n} of the socket unit: {err}.")))?);
        }
        if taken.len() > 2 {
            return Err(Failure::failed(
                "The socket unit hands over more than two sockets.\nThe first is the main one, a second one is for plain HTTP beside TLS.",
            ));
        }
        let mut taken = taken.into_iter();
        Ok(Self { main: taken.next(), plain: taken.next() })
    }
}

/// Requests are answered from now on.
pub fn ready(url: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("serving {url}"))]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing the requests under way")]);
}

/// As often as systemd wants to hear it, but only after the database has been read.
pub async fn say_alive(app: Arc<App>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let mut each = tokio::time::interval(limit / 3);
    loop {
        each.tick().await;
        if maintenance::is_alive(&app).await {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState]) {
    if let Err(err) = sd_notify::notify(states) {
        tracing::warn!(error = in_full(&err), "systemd could not be told");
    }
}
