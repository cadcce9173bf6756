//! What whoever runs the server does from a shell: back up, look after it, find out what is wrong.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use keyrack::model::clock::Clock;
use serde_json::{Value, json};

use crate::support::Client;
use crate::support::binary::{Keyrack, PASSWORD, text};
use crate::support::secrets::files_below;
use crate::support::tls::Issued;

#[test]
fn a_backup_is_made_checked_and_restored_from_the_shell() {
    let keyrack = Keyrack::with_admin();
    let made = keyrack.run(&["backup", "create", "copy.db"]).ok();
    assert!(made.out.contains("1 user,") && made.err.contains("master key is not in it"), "{}{}", made.out, made.err);
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(keyrack.root.path().join("copy.db.json")).expect("read")).expect("json");
    assert_eq!(manifest["rows"]["users"], 1);
    keyrack.run(&["backup", "create", "copy.db"]).fails(1, "copy.db is there already");
    assert_eq!(keyrack.json(&["backup", "verify", "copy.db"])["ok"], true);
    keyrack.run(&["backup", "restore", "copy.db", "--yes"]).fails(1, "holds data already.\nMove it away: mv ");

    let restored = keyrack.root.path().join("restored");
    let dir = restored.to_str().expect("a name");
    keyrack.run(&["--data", dir, "backup", "restore", "copy.db"]).fails(4, "repeat it with --yes");
    assert!(!restored.exists());
    let told = keyrack.run(&["--data", dir, "backup", "restore", "copy.db", "--yes", "--json"]).json();
    assert_eq!((&told["ok"], &told["rows"]["users"]), (&true.into(), &1.into()));
    let users = keyrack.run(&["--data", dir, "user", "list", "--json"]).json();
    assert_eq!(text(&users[0]["email"]), "ada@example.com");
    keyrack.run(&["backup", "verify", "nothing.db"]).fails(1, "nothing.db: No such file");
}

#[test]
fn a_backup_is_sealed_with_a_passphrase_that_is_never_an_argument() {
    let keyrack = Keyrack::with_admin();
    let sealed =
        keyrack.feed("correct horse battery\n", &["backup", "create", "copy.sealed", "--passphrase-file", "-", "--json"]).json();
    assert_eq!(sealed["sealed"], true);
    keyrack
        .run(&["backup", "verify", "copy.sealed"])
        .fails(1, "is sealed, and opens with its passphrase alone.\nGive it with --passphrase-file");
    keyrack
        .feed("wrong horse battery", &["backup", "verify", "copy.sealed", "--passphrase-file", "-"])
        .fails(1, "copy.sealed: another passphrase opens it.\nCheck the passphrase");
    keyrack
        .feed("short", &["backup", "create", "weak.sealed", "--passphrase-file", "-"])
        .fails(1, "fewer than 12 characters, and would be guessed.");
    keyrack.feed("correct horse battery", &["backup", "verify", "copy.sealed", "--passphrase-file", "-"]).ok();
}

#[test]
fn a_restore_says_that_the_master_key_is_still_to_come() {
    let keyrack = Keyrack::with_admin();
    keyrack.serve(&[]).terminate();
    let made = keyrack.run(&["backup", "create", "copy.db"]).ok();
    assert!(made.err.contains("The master key is not in it."), "{}", made.err);
    let restored = keyrack.root.path().join("restored");
    let dir = restored.to_str().expect("a name");
    let told = keyrack.run(&["--data", dir, "backup", "restore", "copy.db", "--yes"]).ok();
    let step = format!("install -m 600 MASTER.KEY {dir}/master.key");
    assert!(told.out.starts_with("Restored ") && told.err.contains(&step) && told.err.contains("Start it:"), "{}", told.err);
    keyrack.run(&["--data", dir, "serve", "--listen", "127.0.0.1:0"]).fails(1, "master.key is missing");
    fs::copy(keyrack.data().join("master.key"), restored.join("master.key")).expect("copied");
    drop(keyrack.serve(&["--data", dir]));

    let server = keyrack.serve(&[]);
    let words = format!("holds data already.\nStop the server (pid {}) and move it away: mv ", server.child.id());
    keyrack.run(&["backup", "restore", "copy.db", "--yes"]).fails(1, &words);
}

/// The check of a doctor with this name.
fn check<'a>(told: &'a Value, name: &str) -> &'a Value {
    let checks = told["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {told:#}"))
}

fn doctor(keyrack: &Keyrack) -> (i32, Value) {
    let done = keyrack.run(&["doctor", "--json"]);
    (done.code, serde_json::from_str(&done.out).unwrap_or_else(|err| panic!("{err}: {}{}", done.out, done.err)))
}

#[test]
fn a_doctor_finds_nothing_broken_on_a_good_server_and_says_what_is_missing() {
    let keyrack = Keyrack::with_admin();
    let server = keyrack.serve(&[]);
    let (code, told) = doctor(&keyrack);
    assert_eq!((code, &told["ok"]), (0, &true.into()), "{told:#}");
    for name in ["settings", "directory", "database", "schema", "audit log", "master key", "clock", "disk", "server", "proxies"] {
        assert_eq!(check(&told, name)["state"], "ok", "{told:#}");
    }
    assert!(text(&check(&told, "server")["found"]).ends_with(", ready"));
    let backup = check(&told, "backup");
    assert_eq!((&backup["state"], text(&backup["fix"])), (&"warning".into(), "keyrack backup create"));
    keyrack.run(&["backup", "create"]).ok();
    assert_eq!(check(&doctor(&keyrack).1, "backup")["state"], "ok");
    server.terminate();
    assert_eq!(server.stopped(), 0);
    let told = doctor(&keyrack).1;
    assert_eq!((&check(&told, "server")["state"], text(&check(&told, "server")["found"])), (&"warning".into(), "not running"));
}

#[test]
fn a_doctor_changes_nothing() {
    let keyrack = Keyrack::new();
    let (code, told) = doctor(&keyrack);
    assert_eq!((code, &check(&told, "database")["state"]), (0, &"warning".into()));
    assert!(!keyrack.data().exists());
}

#[test]
fn each_thing_that_is_broken_is_found_with_its_fix() {
    let keyrack = Keyrack::with_admin();
    let data = keyrack.data();
    let broken = |name: &str, found: &str, fix: &str| {
        let (code, told) = doctor(&keyrack);
        let check = check(&told, name);
        assert_eq!((code, &told["ok"], &check["state"]), (1, &false.into(), &"failed".into()), "{check:#}");
        assert!(text(&check["found"]).contains(found) && text(&check["fix"]).contains(fix), "{check:#}");
        assert!(!text(&check["why"]).is_empty());
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
    mode(&data, 0o755);
    broken("directory", "may be entered by others (mode 755)", &format!("chmod 700 {}", data.display()));
    mode(&data, 0o700);
    mode(&data.join("keyrack.db"), 0o644);
    broken("directory", "keyrack.db may be read by others (mode 644)", "chmod 600 ");
    mode(&data.join("keyrack.db"), 0o600);

    let conn = || rusqlite::Connection::open(data.join("keyrack.db")).expect("opens");
    conn().execute_batch("INSERT INTO settings VALUES ('master_key.id', '01020304', 0)").expect("set");
    broken("master key", "master.key is missing", "Put the file back");
    conn().execute_batch("DELETE FROM settings WHERE name = 'master_key.id'").expect("set");

    conn().pragma_update(None, "user_version", 999).expect("set");
    broken("schema", "999; this program knows", "Upgrade Keyrack");
    conn().pragma_update(None, "user_version", keyrack::store::migrate::SCHEMA as i64).expect("set");

    conn()
        .execute_batch("DROP TRIGGER audit_events_keep_words; UPDATE audit_events SET target_name = 'Eve' WHERE seq = 1")
        .expect("edits");
    broken("audit log", "changed at event 1", "backup verify");
}

#[test]
fn mistakes_in_the_settings_and_damage_are_found_too() {
    let keyrack = Keyrack::with_admin();
    fs::write(keyrack.root.path().join("keyrack.toml"), "[server]\npubic_url = \"https://a.example\"\n").expect("written");
    let done = keyrack.run(&["doctor", "--config", "keyrack.toml"]);
    done.fails(1, "checks failed");
    assert!(
        done.out.contains("keyrack.toml:2: unknown key \"pubic_url\"") && done.out.contains("Fix: keyrack config check"),
        "{}",
        done.out
    );
    let everyone =
        keyrack.command(&["doctor", "--json"]).env("KEYRACK_SERVER_TRUSTED_PROXIES", "0.0.0.0/0").output().expect("runs");
    assert!(String::from_utf8_lossy(&everyone.stdout).contains("0.0.0.0/0 is trusted: everyone"));
    keyrack.run(&["backup", "create"]).ok();
    let database = keyrack.data().join("keyrack.db");
    let mut bytes = fs::read(&database).expect("read");
    for byte in bytes.iter_mut().skip(4_096 * 3).step_by(7) {
        *byte ^= 0x55;
    }
    fs::write(&database, bytes).expect("written");
    let (code, told) = doctor(&keyrack);
    assert_eq!((code, &check(&told, "database")["state"]), (1, &"failed".into()), "{told:#}");
    assert!(text(&check(&told, "database")["fix"]).contains("backup restore"), "{told:#}");
}

#[test]
fn a_damaged_database_is_not_served_and_the_way_back_is_told() {
    let keyrack = Keyrack::with_admin();
    let server = keyrack.serve(&[]);
    server.terminate();
    assert_eq!(server.stopped(), 0);
    keyrack.run(&["backup", "create"]).ok();
    let database = keyrack.data().join("keyrack.db");
    let mut damaged = fs::read(&database).expect("read");
    damaged.iter_mut().skip(4_096 * 3).step_by(7).for_each(|byte| *byte ^= 0x55);
    let others = b"somebody's letters".repeat(500);
    for (bytes, words) in [(damaged, "is damaged"), (others, "is damaged"), (Vec::new(), "is empty or gone")] {
        fs::write(&database, &bytes).expect("written");
        let refused = keyrack.run(&["serve", "--listen", "127.0.0.1:0"]);
        refused.fails(1, words);
        refused.fails(1, "data.damaged/backups/");
        assert!(fs::read(&database).expect("read") == bytes, "it is left as it was");
    }
}

#[test]
fn the_state_of_the_running_server_is_told() {
    let keyrack = Keyrack::with_admin();
    keyrack.run(&["status"]).fails(1, "No server runs on ");
    let server = keyrack.serve(&[]);
    let told = keyrack.json(&["status"]);
    assert_eq!((&told["ready"], &told["url"]), (&true.into(), &server.started["url"]));
    assert_eq!((&told["version"], &told["queued"]), (&env!("CARGO_PKG_VERSION").into(), &json!(0.0)));
    assert!(keyrack.run(&["status"]).ok().out.contains("last backup"));
}

#[test]
fn a_server_that_speaks_tls_is_asked_and_its_certificate_looked_at() {
    let keyrack = Keyrack::with_admin();
    let now = Clock::real().now();
    Issued::for_days(now, 90).write(keyrack.root.path());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| keyrack.root.path().join(name).display().to_string());
    let tls = [("KEYRACK_TLS_MODE", "files"), ("KEYRACK_TLS_CERT_FILE", &*cert), ("KEYRACK_TLS_KEY_FILE", &*key)];
    let asked = |args: &[&str]| -> Value {
        let done = keyrack.command(args).envs(tls).output().expect("runs");
        serde_json::from_slice(&done.stdout).expect("json")
    };
    let server = keyrack.serve_in(&tls, &[]);
    let told = asked(&["status", "--json"]);
    assert_eq!((&told["ready"], &told["certificate"]["names"]), (&true.into(), &json!(["keys.example.com"])), "{told:#}");
    let told = asked(&["doctor", "--json"]);
    assert!(text(&check(&told, "server")["found"]).ends_with(", ready"), "{told:#}");
    assert_eq!(check(&told, "certificate")["state"], "ok", "{told:#}");

    // Nobody has asked the server to look again yet.
    Issued::for_days(now, 13).write(keyrack.root.path());
    let near = asked(&["doctor", "--json"]);
    assert_eq!(check(&near, "certificate")["state"], "warning");
    assert!(text(&check(&near, "certificate")["found"]).starts_with("the one for keys.example.com ends on "), "{near:#}");
    fs::write(&cert, "nonsense").expect("written");
    let broken = asked(&["doctor", "--json"]);
    assert_eq!(check(&broken, "certificate")["state"], "failed");
    assert!(text(&check(&broken, "certificate")["found"]).contains("holds no certificate"), "{broken:#}");
    server.terminate();
    assert_eq!(server.stopped(), 0);
}

#[test]
fn requests_at_another_address_than_the_public_one_are_told_of() {
    let keyrack = Keyrack::with_admin();
    let log = keyrack.root.path().join("log");
    let server = keyrack.serve_with(&["--public-url", "http://localhost:8080"], &log, |command| {
        command.env("KEYRACK_SERVER_TRUSTED_PROXIES", "127.0.0.1/32");
    });
    for _ in 0..2 {
        let mut stream = server.connect();
        let head = "Host: keys.example.com\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nAccept: text/html";
        std::io::Write::write_all(
            &mut stream,
            format!("GET /sign-in HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .expect("sent");
        std::io::Read::read_to_end(&mut stream, &mut Vec::new()).expect("an answer");
    }
    server.terminate();
    server.stopped();
    let log = fs::read_to_string(log).expect("read");
    let words =
        "Requests arrive as https://keys.example.com but public_url is http://localhost:8080. OAuth and links will break.";
    assert_eq!(log.matches(words).count(), 1, "{log}");
    assert!(log.contains("public_url = \\\"https://keys.example.com\\\""), "{log}");
}

#[test]
fn the_manual_page_tells_of_every_verb() {
    let page = Keyrack::new().run(&["man"]).ok().out;
    for verb in ["backup", "doctor", "status", "serve"] {
        assert!(page.contains(&format!("keyrack\\-{verb}(1)")), "{verb}: {page}");
    }
}

#[test]
fn a_container_without_a_volume_is_refused_with_the_flag_that_gives_one() {
    // A file system in memory is as fleeting as a container's own disk.
    let shm = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let keyrack = Keyrack::new();
    let dir = shm.path().join("data");
    let refused = crate::support::binary::finished(
        keyrack.command(&["serve", "--data", dir.to_str().expect("a name")]).env("container", "podman").spawn().expect("starts"),
    );
    refused.fails(1, "lies on the container's own disk, which is gone when the container is replaced.\nGive it a volume: docker run -v keyrack-data:");
    assert!(!dir.exists());
    let mut allowed = keyrack.command(&["serve", "--json", "--data", dir.to_str().expect("a name")]);
    allowed.env("container", "podman").env("KEYRACK_ALLOW_VOLATILE", "1").env("KEYRACK_SERVER_LISTEN", "127.0.0.1:0");
    let mut child = allowed.spawn().expect("starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    child.kill().expect("killed");
    child.wait().expect("it ends");
    assert!(line.contains("listen"), "it started: {line}");
}

/// A form of a page: its token, sent back with these fields; gives the cookies after it.
async fn sign_in(client: &Client, email: &str) -> (Vec<String>, Vec<String>) {
    let cookies = |reply: &crate::support::Reply| -> Vec<String> {
        let set = reply
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|set| set.to_str().expect("text").split(';').next().expect("one").to_owned());
        set.collect()
    };
    let page = client.header("Accept", "text/html").get("/sign-in").await.expect(200);
    let before = cookies(&page);
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("csrf", page.token().as_str()), ("email", email), ("password", PASSWORD)])
        .finish();
    let browser = client.header("Cookie", &before.join("; ")).header("Sec-Fetch-Site", "same-origin");
    let browser = browser.header("Content-Type", "application/x-www-form-urlencoded");
    let signed_in = browser.send(reqwest::Method::POST, "/sign-in", Some(form)).await.expect(303);
    (before, cookies(&signed_in))
}

#[tokio::test]
async fn no_secret_is_in_the_log_at_its_loudest_nor_in_any_file_or_backup() {
    let keyrack = Keyrack::new();
    let link = keyrack.run(&["setup-link"]).ok().out.trim().rsplit('/').next().expect("a code").to_owned();
    keyrack.feed(PASSWORD, &["admin", "create", "--email", "ada@example.com", "--password-file", "-"]).ok();
    let metrics_token = "metrics-0123456789abcdef";
    let passphrase = "passphrase-0123456789";
    let log = keyrack.root.path().join("log");
    let server = keyrack.serve_with(&["--log-format", "json"], &log, |command| {
        command
            .env("KEYRACK_LOG_LEVEL", "trace")
            .env("KEYRACK_METRICS_TOKEN", metrics_token)
            .env("KEYRACK_BACKUP_PASSPHRASE", passphrase);
    });
    let addr = text(&server.started["listen"]).parse().expect("an address");
    let made = keyrack.json(&["key", "create", "everything", "--scope", "admin"]);
    let secret = text(&made["secret"]).to_owned();
    let admin = Client::new(addr, Some(&secret));
    let mut secrets = vec![PASSWORD.to_owned(), link, metrics_token.into(), passphrase.into(), secret];

    let once = admin.header("Idempotency-Key", "order-1");
    let key = once.post("/v1/keys", json!({ "name": "CI" })).await.expect(201);
    assert_eq!(once.post("/v1/keys", json!({ "name": "CI" })).await.expect(201).json()["secret"], Value::Null, "a replay");
    let rotated = admin.post(&format!("{}/rotate", key.header("location")), json!({})).await.expect(200);
    let leaked = admin.post("/v1/keys", json!({ "name": "leaked" })).await.expect(201);
    for reply in [&key, &rotated, &leaked] {
        secrets.push(text(&reply.json()["secret"]).to_owned());
    }
    let (old, new, leaked) = (secrets[5].clone(), secrets[6].clone(), secrets[7].clone());
    for secret in [&old, &new] {
        Client::new(addr, Some(secret)).get("/v1/key").await.expect(200);
    }
    admin.post("/v1/keys/verify", json!({ "key": new })).await.expect(200);
    admin.post("/v1/keys/report", json!({ "key": leaked })).await.expect(204);
    let wrong = format!("{}x", &new[..new.len() - 1]);
    Client::new(addr, Some(&wrong)).get(&format!("/v1/key?api_key={new}")).await.expect(401);
    secrets.push(wrong);
    let user = json!({ "name": "Grace", "email": "grace@example.com", "password": "nanoseconds of wire" });
    let user = once.post("/v1/users", user).await.expect(201);
    admin.patch(user.header("location"), json!({ "password": "another password 456" })).await.expect(200);
    secrets.extend(["nanoseconds of wire".into(), "another password 456".into()]);
    let client = Client::new(addr, None);
    let (before, after) = sign_in(&client, "ada@example.com").await;
    let session = after.iter().find_map(|cookie| cookie.strip_prefix("sid=")).expect("a session").to_owned();
    client.header("Cookie", &format!("sid={session}")).header("Accept", "text/html").get("/admin").await.expect(200);
    secrets.extend(before.iter().filter_map(|cookie| cookie.split_once('=')).map(|(_, value)| value.to_owned()));
    secrets.push(session);
    client.header("Authorization", &format!("Bearer {metrics_token}")).get("/metrics").await.expect(200);
    keyrack.run(&["backup", "create", "plain.db"]).ok();
    tokio::time::sleep(Duration::from_millis(700)).await;
    let look = |secrets: &[String], what: &str| {
        let mut files = files_below(&keyrack.data());
        files.extend(["log", "plain.db", "plain.db.json"].map(|name| keyrack.root.path().join(name)));
        for path in files {
            let bytes = fs::read(&path).expect("read");
            for secret in secrets {
                // Neither whole nor without its prefix and the four characters that its hint shows.
                let inner = secret.strip_prefix("kr_").map_or(secret.as_str(), |inner| &inner[..inner.len() - 6]);
                let found = bytes.windows(inner.len()).any(|window| window == inner.as_bytes());
                assert!(!found, "{what}: {secret} is in {}", path.display());
            }
        }
    };
    look(&secrets, "while it runs");
    server.terminate();
    assert_eq!(server.stopped(), 0);
    look(&secrets, "after it stopped");
    let loud = fs::read_to_string(&log).expect("read");
    assert!(loud.lines().count() > 30 && loud.contains("\"level\":\"TRACE\""), "it was loud: {} lines", loud.lines().count());
    let access = loud.lines().filter(|line| line.contains("\"target\":\"access\""));
    assert!(access.clone().count() > 5 && access.clone().all(|line| line.contains("request_id")), "every request has its id");
    let of = |path: &str| access.clone().find(|line| line.contains(path)).unwrap_or_default().to_owned();
    assert!(of("/v1/keys/verify").contains("\"key_id\":\"key_"), "and its key: {}", of("/v1/keys/verify"));
    assert!(of("\"/admin\"").contains("\"user_id\":\"user_"), "or its user: {}", of("\"/admin\""));
}

// Used by the tests above that look at a log.
impl Keyrack {
    fn serve_with(
        &self,
        args: &[&str],
        log: &Path,
        more: impl FnOnce(&mut std::process::Command),
    ) -> crate::support::binary::Server {
        let mut command = self.command(&[&["serve", "--json"], args].concat());
        command.env("KEYRACK_SERVER_LISTEN", "127.0.0.1:0").stderr(File::create(log).expect("a file"));
        more(&mut command);
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let started = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the server did not start: {}", fs::read_to_string(log).expect("read")));
        crate::support::binary::Server { child, started }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_is_dumped_of_a_process_that_holds_secrets() {
    let keyrack = Keyrack::with_admin();
    let server = keyrack.serve(&[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.child.id())).expect("its limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit of a core");
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "soft and hard: {core}");
}
