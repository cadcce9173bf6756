//! `keyrack doctor`: everything that keeps a server from working, or will: what, why it matters, and the exact fix. It
//! changes nothing, and works beside a running server or without one.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::ask_server::{Answer, get};
use super::data::{self, Place};
use super::failure::Failure;
use super::output::Output;
use super::running::Running;
use crate::config::{Config, Schedule};
use crate::model::check::{Check, CheckState};
use crate::model::clock::{Clock, Timestamp};
use crate::model::error::in_full;
use crate::model::tier::counted;
use crate::services::{backups, certificates};
use crate::store::inspect::{Inspection, inspect};
use crate::store::migrate::SCHEMA;
use crate::store::{backups_of, sqlite_version};
use crate::tls::CertificateFacts;

const DAY: Duration = Duration::from_secs(86_400);

pub fn run(place: &Place, out: &Output) -> Result<()> {
    let checks = look(place);
    let failed = checks.iter().filter(|check| check.state == CheckState::Failed).count();
    let warnings = checks.iter().filter(|check| check.state == CheckState::Warning).count();
    out.result(&json!({ "ok": failed == 0, "checks": checks }), || checks.iter().map(in_words).collect())?;
    match (failed, warnings) {
        (0, 0) => out.talk("All is well."),
        (0, _) => out.talk(format!("{warnings} to look at; nothing is broken.")),
        _ => return Err(Failure::failed(format!("{failed} of {} checks failed.", checks.len()))),
    }
    Ok(())
}

fn in_words(check: &Check) -> String {
    let mut words = format!("{:<8} {:<15} {}\n", check.state.name(), check.name, check.found);
    for (label, text) in [("Why:", check.why), ("Fix:", check.fix.as_str())] {
        if !text.is_empty() {
            words += &format!("{:24} {label} {text}\n", "");
        }
    }
    words
}

fn look(place: &Place) -> Vec<Check> {
    let dir = place.dir();
    let mut checks = Vec::new();
    let database_file = dir.join("keyrack.db");
    let is_there = !matches!(database_file.symlink_metadata(), Err(err) if data::is_nothing(&err));
    let found = is_there.then(|| inspect(&database_file));
    let inspected = found.as_ref().and_then(|found| found.as_ref().ok());
    let stored = inspected.map(|found| found.settings.iter().cloned().collect()).unwrap_or_default();
    let loaded = place.settings(Vec::new(), stored);
    let config = loaded.as_ref().map(|loaded| loaded.config.clone()).unwrap_or_default();
    checks.push(match &loaded {
        Ok(loaded) => settings(loaded.fixed().len(), &config),
        Err(err) => Check::failed(
            "settings",
            err.to_string(),
            "The server does not start with mistakes in its settings.",
            place.command(["config", "check"]),
        ),
    });
    checks.push(directory(&dir));
    match &found {
        None => checks.push(Check::warning("database", "none yet", "There is nothing to serve.", place.command(["serve"]))),
        Some(Err(_)) if File::open(&database_file).is_err_and(|err| err.kind() == ErrorKind::PermissionDenied) => {
            checks.push(Check::failed(
                "database",
                format!("{} may not be read by you", database_file.display()),
                "What is in it, and how it is, cannot be told from here.",
                data::as_owner(&dir, "doctor"),
            ));
        }
        Some(Err(err)) => checks.push(Check::failed(
            "database",
            format!("{} cannot be read: {}", database_file.display(), in_full(err)),
            "Without it nothing works.",
            place.way_back(&dir),
        )),
        Some(Ok(found)) => checks.extend(database(place, &dir, found)),
    }
    if let Some(found) = inspected {
        checks.push(master_key(place, &dir, found));
        checks.push(clock(found));
        checks.push(backup(place, found, &config));
        checks.extend(backup_dir(&dir, &config));
    }
    checks.push(disk(&dir, &config));
    let running = Running::of(&dir);
    let ready = running.as_ref().map(|server| get(server, "/readyz"));
    checks.push(server(place, running.as_ref().zip(ready.as_ref())));
    checks.extend(certificate(&config, &dir, ready.and_then(|ready| ready.ok()?.certificate)));
    checks.push(public_url(&config));
    checks.push(proxies(&config));
    checks
}

fn settings(given: usize, config: &Config) -> Check {
    match config.fault() {
        None => Check::ok("settings", format!("no mistakes, {given} given")),
        Some(fault) => {
            let (fact, fix) = fault.split_once('\n').unwrap_or((&fault, ""));
            Check::failed("settings", fact, "The server refuses to start like this.", fix)
        }
    }
}

fn directory(dir: &Path) -> Check {
    let shown = dir.display();
    let Ok(meta) = dir.metadata() else {
        return Check::ok("directory", format!("{shown} is made at the first start"));
    };
    let mode = meta.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Check::failed(
            "directory",
            format!("{shown} may be entered by others (mode {mode:o})"),
            "Whoever reads the database has the hashes of all passwords and keys.",
            format!("chmod 700 {shown}"),
        );
    }
    for name in ["keyrack.db", "keyrack.db-wal", "keyrack.db-shm", "master.key", "keyrack.lock"] {
        let path = dir.join(name);
        let Ok(meta) = path.symlink_metadata() else { continue };
        if meta.mode() & 0o077 != 0 {
            return Check::failed(
                "directory",
                format!("{} may be read by others (mode {:o})", path.display(), meta.mode() & 0o777),
                "The server does not start while others may read its data.",
                format!("chmod 600 {}", path.display()),
            );
        }
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && me != 0 {
        return Check::failed(
            "directory",
            format!("{shown} belongs to another user (uid {}, you are {me})", meta.uid()),
            "What you look at here, the server's user may see otherwise.",
            data::as_owner(dir, "doctor"),
        );
    }
    Check::ok("directory", format!("{shown}, private"))
}

fn database(place: &Place, dir: &Path, found: &Inspection) -> Vec<Check> {
    if found.structure != "ok" {
        return vec![Check::failed(
            "database",
            format!("damaged: {}", found.structure),
            "What is damaged cannot be read, and more may follow.",
            place.way_back(dir),
        )];
    }
    let mut checks = vec![Check::ok("database", format!("sound (SQLite {})", sqlite_version()))];
    checks.push(match found.schema {
        SCHEMA => Check::ok("schema", format!("{SCHEMA}, this program's")),
        older if older < SCHEMA => Check::warning(
            "schema",
            format!("{older}; this program's is {SCHEMA}"),
            "It is migrated at the next start, after a backup of it.",
            place.command(["migrate"]),
        ),
        newer => Check::failed(
            "schema",
            format!("{newer}; this program knows {SCHEMA}"),
            "A newer Keyrack wrote it, and an older one would damage it.",
            format!("Upgrade Keyrack, or restore the backup made before the upgrade: ls {}", backups_of(dir).display()),
        ),
    });
    let head = format!("event {}, {}", found.head.seq, found.head.hash);
    checks.push(match found.first_broken {
        None => Check::ok("audit log", format!("whole up to {head}")),
        Some(seq) => Check::failed(
            "audit log",
            format!("changed at event {seq}"),
            "Somebody wrote into the database past Keyrack, or the disk lost something.",
            "Compare with a backup: keyrack backup verify FILE".to_owned(),
        ),
    });
    checks
}

fn master_key(place: &Place, dir: &Path, found: &Inspection) -> Check {
    match place.master_key_file(&dir.join("keyrack.db")).look(&found.settings) {
        Ok(true) => Check::ok("master key", "there, and the one that belongs to the database"),
        Ok(false) => Check::ok("master key", "none needed yet"),
        Err(err) => {
            let words = err.to_string();
            let (fact, fix) = words.split_once('\n').unwrap_or((&words, ""));
            Check::failed(
                "master key",
                fact,
                "Second factors and webhook secrets are sealed under it; the server does not start without.",
                fix,
            )
        }
    }
}

fn clock(found: &Inspection) -> Check {
    let now = Clock::real().now();
    match found.last_event_at.filter(|&last| last.since(now) > Duration::from_secs(60)) {
        None => Check::ok("clock", format!("{now}")),
        Some(last) => Check::failed(
            "clock",
            format!("{now}, but the database knows of {last}"),
            "Keys and sessions end at wrong times while the clock is wrong.",
            "timedatectl set-ntp true",
        ),
    }
}

fn backup(place: &Place, found: &Inspection, config: &Config) -> Check {
    let setting = |wanted: &str| found.settings.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    let last = setting(backups::LAST_AT).and_then(Timestamp::parse);
    let why = "What was not copied is gone when the disk is.";
    let fix = place.command(["backup", "create"]);
    if let Some(words) = setting(backups::FAILED).filter(|words| !words.is_empty() && config.backup.schedule != Schedule::Off) {
        return Check::failed("backup", format!("the schedule's last one could not be made: {words}"), why, fix);
    }
    match last.map(|last| Clock::real().now().since(last)) {
        None => Check::warning("backup", "none yet", why, fix),
        Some(age) if age > backups::old_after(config) => {
            Check::warning("backup", format!("the last one is {} days old", age.as_secs() / DAY.as_secs()), why, fix)
        }
        Some(_) if config.backup.schedule == Schedule::Off => {
            Check::warning("backup", "recent, but made by hand: the schedule is off", why, "[backup] schedule = \"24h\"")
        }
        Some(age) => Check::ok("backup", format!("{} hours ago", age.as_secs() / 3_600)),
    }
}

/// Whether the server, which is the data directory's owner, can put backups where they go.
fn backup_dir(data: &Path, config: &Config) -> Option<Check> {
    let dir = config.backup.dir.as_ref().map_or_else(|| backups_of(data), |dir| dir.as_path().to_owned());
    let there = dir.ancestors().find_map(|dir| Some((dir, dir.metadata().ok()?)));
    let (owner, (at, meta)) = (data.metadata().ok()?, there?);
    let wanted = match (meta.uid() == owner.uid(), meta.gid() == owner.gid()) {
        (true, _) => 0o300,
        (false, true) => 0o030,
        (false, false) => 0o003,
    };
    let is_open = owner.uid() == 0 || meta.mode() & wanted == wanted;
    let words = match backups::is_writable(&dir) {
        Err(err) => err.to_string(),
        Ok(()) if is_open => return None,
        Ok(()) => "it belongs to another user than the data directory".into(),
    };
    Some(Check::failed(
        "backup place",
        format!("{} cannot be written by the server: {words}", at.display()),
        "The schedule makes no backup.",
        format!("sudo chown -R {}: {}", data::user_name(owner.uid()), at.display()),
    ))
}

fn disk(dir: &Path, config: &Config) -> Check {
    let at = dir.ancestors().find(|dir| dir.exists()).unwrap_or(Path::new("."));
    let at = if at.as_os_str().is_empty() { Path::new(".") } else { at };
    let size = dir.join("keyrack.db").metadata().map_or(0, |meta| meta.len());
    let free = match backups::free_space(at) {
        Ok(free) => free,
        Err(err) => return Check::failed("disk", format!("{}: {err}", at.display()), "Nobody knows whether there is room.", ""),
    };
    let wanted = 64_000_000 + size * (1 + config.backup.keep as u64).min(3);
    let found = format!("{} MB free at {}", free / 1_000_000, at.display());
    let why = "A full disk takes no changes: no new keys, no revocations.";
    match free {
        free if free < 64_000_000 => {
            Check::failed("disk", found, why, format!("Make room: du -xh {} | sort -h | tail", at.display()))
        }
        free if free < wanted => Check::warning(
            "disk",
            found,
            "There is no room for a few backups.",
            format!("Make room, or [backup] keep = 1 or dir on another disk; the database has {} MB", size / 1_000_000),
        ),
        _ => Check::ok("disk", found),
    }
}

fn server(place: &Place, running: Option<(&Running, &Result<Answer, String>)>) -> Check {
    let Some((server, ready)) = running else {
        return Check::warning("server", "not running", "Nobody is served.", place.command(["serve"]));
    };
    let who = format!("pid {}, {}", server.pid, server.url);
    let why = "It runs, but its clients get no good answers.";
    match ready {
        Ok(Answer { status: 200, .. }) => Check::ok("server", format!("{who}, ready")),
        Ok(Answer { status, body, .. }) => Check::failed(
            "server",
            format!("{who}, answers {status}: {body}"),
            why,
            "The log says more: journalctl -u keyrack -e",
        ),
        Err(err) => Check::failed(
            "server",
            format!("{who}, does not answer on {}: {err}", server.listen),
            why,
            format!("Restart it: kill {}", server.pid),
        ),
    }
}

/// Of the files that a start would take, beside what the running server shows.
fn certificate(config: &Config, dir: &Path, shown: Option<CertificateFacts>) -> Option<Check> {
    let name = "certificate";
    let status = certificates::check::on_disk(config, dir)?;
    let check = certificates::check::check(name, &status, config, Clock::real().now());
    let shown = shown.filter(|shown| check.state == CheckState::Ok && shown.fingerprint != status.fingerprint);
    Some(shown.map_or(check, |shown| {
        Check::warning(
            name,
            format!("the server shows another than its files have, for {}, until {}", shown.names.join(", "), shown.ends_at),
            "Files are taken up within ten seconds where they are good.",
            "sudo systemctl reload keyrack, and: journalctl -u keyrack -e",
        )
    }))
}

fn public_url(config: &Config) -> Check {
    let why = "Links, OAuth and passkeys need the address that clients use.";
    match &config.server.public_url {
        Some(url) if url.is_https() || url.is_loopback() => Check::ok("public URL", url.as_str()),
        Some(url) => Check::warning(
            "public URL",
            format!("{url} is not encrypted"),
            "Keys and passwords can be read on the way.",
            "[server] public_url = \"https://NAME\", with a proxy that does HTTPS",
        ),
        None if config.server.listen.ip().is_loopback() && config.server.trusted_proxies.is_empty() => {
            Check::ok("public URL", "not set; this machine alone can connect")
        }
        None => Check::warning("public URL", "not set", why, "[server] public_url = \"https://NAME\""),
    }
}

fn proxies(config: &Config) -> Check {
    let everyone = config.server.trusted_proxies.iter().find(|net| net.prefix_len() == 0);
    match (everyone, config.server.trusted_proxies.len()) {
        (Some(net), _) => Check::failed(
            "proxies",
            format!("{net} is trusted: everyone"),
            "Whoever connects can claim any address, past allow-lists and limits.",
            "[server] trusted_proxies = [\"ADDRESS OF THE PROXY/32\"]",
        ),
        (None, 0) => Check::ok("proxies", "none trusted"),
        (None, several) => Check::ok("proxies", format!("{} trusted", counted(several as u64, "network"))),
    }
}
