//! `keyrack status`: the server that runs on the data directory, and how it is.

use anyhow::Result;
use serde_json::{Value, json};

use super::ask_server::{Answer, get, metric};
use super::data::Place;
use super::failure::Failure;
use super::output::{Output, fields};
use super::running::{Running, clock_time};
use crate::model::clock::Clock;

pub fn run(place: &Place, out: &Output) -> Result<()> {
    let dir = place.dir();
    let Some(server) = Running::of(&dir) else {
        return Err(Failure::failed(format!("No server runs on {}.\nStart it: {}", dir.display(), place.command(["serve"]))));
    };
    let ready = get(&server, "/readyz");
    let metrics = get(&server, "/metrics").map(|answer| answer.body).unwrap_or_default();
    let number = |name| metric(&metrics, name);
    let version = metrics.lines().find_map(|line| line.strip_prefix("keyrack_build_info{version=\"")?.split('"').next());
    let checks = ready.as_ref().ok().and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
    let certificate = ready.as_ref().ok().and_then(|answer| answer.certificate.as_ref());
    let is_ready = matches!(ready, Ok(Answer { status: 200, .. }));
    let backups_fail = number("keyrack_backup_failing") == Some(1.0);
    let told = json!({
        "pid": server.pid,
        "since": server.since,
        "url": server.url,
        "listen": server.listen,
        "version": version,
        "ready": is_ready,
        "checks": checks.as_ref().map(|checks| checks["checks"].clone()),
        "in_flight": number("keyrack_requests_in_flight"),
        "queued": number("keyrack_requests_queued"),
        "certificate": certificate,
        "backup_age_seconds": number("keyrack_backup_age_seconds"),
        "backups_fail": backups_fail,
    });
    out.result(&told, || {
        let readiness = match &ready {
            Ok(Answer { status: 200, .. }) => "yes".to_owned(),
            Ok(Answer { body, .. }) => format!("no: {body}"),
            Err(why) => format!("no: it does not answer on {} ({why})", server.listen),
        };
        let queue = match (number("keyrack_requests_in_flight"), number("keyrack_requests_queued")) {
            (Some(running), Some(queued)) => format!("{running} in flight, {queued} waiting"),
            _ => "not known".into(),
        };
        let backup = number("keyrack_backup_age_seconds").map_or("none yet, or not known".into(), age_words);
        let backup = match backups_fail {
            true => format!("{backup}; the schedule can make none: {}", place.command(["doctor"])),
            false => backup,
        };
        let now = Clock::real().now();
        let certificate = certificate.map(|shown| format!("for {}, until {}", shown.names.join(", "), shown.ends_at));
        let certificate = certificate.unwrap_or_else(|| "none: plain HTTP".into());
        fields(&[
            ("server", format!("pid {}, since {}", server.pid, clock_time(server.since, now))),
            ("url", server.url.clone()),
            ("version", version.unwrap_or("not known").to_owned()),
            ("ready", readiness),
            ("certificate", certificate),
            ("requests", queue),
            ("last backup", backup),
        ])
    })?;
    if is_ready { Ok(()) } else { Err(Failure::failed(format!("It is not ready. What is wrong: {}", place.command(["doctor"])))) }
}

fn age_words(seconds: f64) -> String {
    match seconds as u64 {
        0..7_200 => format!("{} min ago", seconds as u64 / 60),
        7_200..172_800 => format!("{} h ago", seconds as u64 / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}
