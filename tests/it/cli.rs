//! The binary itself, as a shell and an operator meet it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use keyrack::model::clock::Clock;
use serde_json::{Value, json};

use crate::support::binary::{Keyrack, PASSWORD, Server, finished, status_of, text};
use crate::support::tls::{Issued, TlsClient, next_answer, write_private};

#[test]
fn users_are_managed_from_the_shell() {
    let keyrack = Keyrack::with_admin();
    let bob = keyrack.json(&["user", "add", "--email", "Bob@example.com", "--name", "Bob"]);
    assert_eq!((text(&bob["email"]), text(&bob["role"]), text(&bob["status"])), ("Bob@example.com", "member", "active"));
    let id = text(&bob["id"]);
    assert_eq!(keyrack.json(&["user", "show", id]), bob);
    assert_eq!(keyrack.json(&["user", "show", "bob@EXAMPLE.com"])["id"], bob["id"]);
    assert_eq!(keyrack.json(&["user", "set", id, "--name", "Robert"])["name"], "Robert");
    assert_eq!(keyrack.json(&["user", "disable", id])["status"], "disabled");
    assert_eq!(keyrack.json(&["user", "enable", id])["status"], "active");
    let names = |list: Value| list.as_array().expect("an array").iter().map(|u| text(&u["name"]).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(keyrack.json(&["user", "list"])), ["ada", "Robert"]);
    assert_eq!(names(keyrack.json(&["user", "list", "--q", "rob"])), ["Robert"]);
    keyrack.run(&["user", "delete", id]).fails(4, "--yes");
    assert_eq!(keyrack.json(&["user", "delete", id, "--yes"])["deleted"], true);
    keyrack.run(&["user", "show", id]).fails(3, "There is no user");
    assert_eq!(names(keyrack.json(&["user", "list"])), ["ada"]);
}

#[test]
fn people_read_tables_and_how_to_take_a_change_back() {
    let keyrack = Keyrack::with_admin();
    let added =
        keyrack.feed(PASSWORD, &["user", "add", "--email", "b@example.com", "--name", "Bob B", "--password-file", "-"]).ok();
    assert!(added.out.starts_with("Added Bob B <b@example.com> as member (user_"), "{}", added.out);
    assert!(added.err.contains("Undo: keyrack user delete user_"), "{}", added.err);
    let set = keyrack.run(&["user", "set", "b@example.com", "--name", "Rob", "--role", "admin"]).ok();
    assert!(set.out.contains("name: Bob B -> Rob") && set.out.contains("role: member -> admin"), "{}", set.out);
    assert!(set.err.contains(" --name 'Bob B' --role member"), "{}", set.err);
    for verb in ["disable", "enable"] {
        assert!(keyrack.run(&["user", verb, "b@example.com"]).ok().err.contains("Undo: "));
    }
    let list = keyrack.run(&["user", "list"]).ok().out;
    assert!(list.starts_with("ID ") && list.lines().count() == 3, "{list}");
    assert!(keyrack.run(&["user", "show", "b@example.com"]).ok().out.contains("email       b@example.com"));
    assert!(keyrack.run(&["user", "delete", "b@example.com", "-y"]).ok().out.starts_with("Deleted Rob"));
    let quiet = keyrack.run(&["--quiet", "user", "add", "--email", "c@example.com", "--name", "C"]).ok();
    assert_eq!(quiet.err, "");
}

#[test]
fn keys_are_managed_from_the_shell() {
    let keyrack = Keyrack::with_admin();
    let args = ["key", "create", "ci", "--scope", "users:read,keys:read", "--expires", "90d", "--ip-allow", "127.0.0.0/8"];
    let made = keyrack.json(&args);
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    assert!(secret.starts_with("kr_") && secret.len() == 52, "{secret}");
    assert_eq!(made["scopes"], serde_json::json!(["users:read", "keys:read"]));
    let shown = keyrack.json(&["key", "show", id]);
    assert_eq!((&shown["name"], shown.get("secret")), (&made["name"], None));

    assert_eq!(keyrack.feed(secret, &["key", "test", "-", "--json"]).json()["valid"], true);
    keyrack.feed("kr_nonsense", &["key", "test", "-"]).fails(1, "invalid");
    let refused = keyrack.feed("kr_nonsense", &["key", "test", "-", "--json"]);
    assert_eq!((refused.code, serde_json::from_str::<Value>(&refused.out).expect("json")["valid"].clone()), (1, false.into()));

    let rotated = keyrack.json(&["key", "rotate", id, "--overlap", "1h"]);
    assert_eq!((&rotated["id"], &rotated["status"]), (&made["id"], &"rotating".into()));
    for good in [secret, text(&rotated["secret"])] {
        keyrack.feed(good, &["key", "test", "-"]).ok();
    }
    let again = keyrack.json(&["key", "rotate", id, "--overlap", "0s"]);
    keyrack.feed(secret, &["key", "test", "-"]).fails(1, "");
    assert_eq!(again["rotation"], Value::Null);

    assert_eq!(keyrack.json(&["key", "disable", id])["enabled"], false);
    keyrack.feed(text(&again["secret"]), &["key", "test", "-"]).fails(1, "");
    assert_eq!(keyrack.json(&["key", "enable", id])["status"], "active");
    keyrack.run(&["key", "revoke", id]).fails(4, "--yes");
    assert_eq!(keyrack.json(&["key", "revoke", id, "--yes"])["status"], "revoked");
    keyrack.run(&["key", "enable", id]).fails(1, "revoked");
    assert_eq!(keyrack.json(&["key", "list", "--status", "revoked"]).as_array().map(Vec::len), Some(1));
    assert_eq!(
        keyrack.json(&["key", "list", "--owner", "ada@example.com", "--account", "Default"]).as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(keyrack.json(&["key", "pattern"])["pattern"], "kr_[0-9A-Za-z]{49}");
}

#[test]
fn a_secret_is_printed_once_with_what_to_do() {
    let keyrack = Keyrack::with_admin();
    let made = keyrack.run(&["key", "create", "laptop"]).ok();
    assert!(made.out.contains("secret        kr_") && made.out.contains("scopes        users:read"), "{}", made.out);
    assert!(made.err.contains("not shown again") && made.err.contains("Undo: keyrack key revoke key_"), "{}", made.err);
    let id = made.out.split_whitespace().find(|word| word.starts_with("key_")).expect("an id");
    assert!(!keyrack.run(&["key", "show", id]).ok().out.contains("secret  "));
    let rotated = keyrack.run(&["key", "rotate", id]).ok();
    assert!(rotated.err.contains("The old secret (kr_…"), "{}", rotated.err);
    for (verb, told) in [("disable", "Disabled key laptop"), ("enable", "Enabled key laptop")] {
        assert!(keyrack.run(&["key", verb, id]).ok().out.contains(told));
    }
    assert!(keyrack.run(&["key", "list"]).ok().out.contains("laptop"));
    assert!(keyrack.run(&["key", "revoke", id, "--yes"]).ok().out.contains("within two seconds"));
    assert_eq!(keyrack.run(&["key", "pattern"]).ok().out, "kr_[0-9A-Za-z]{49}\n");
}

#[test]
fn help_names_what_may_be_written_and_mistakes_say_what_to_do() {
    let keyrack = Keyrack::with_admin();
    let help = |args: &[&str]| keyrack.run(args).ok().out.split_whitespace().collect::<Vec<_>>().join(" ");
    let scopes = help(&["key", "create", "--help"]);
    assert!(scopes.contains("users:read, users:write, keys:read,") && scopes.contains("audit:read, admin"), "{scopes}");
    let events = help(&["webhook", "add", "--help"]);
    assert!(events.contains("user.created, user.updated,") && events.contains("Where events are sent"), "{events}");

    let day = keyrack.json(&["key", "create", "ci", "--expires", "2099-01-31"]);
    assert_eq!(text(&day["expires_at"]), "2099-02-01T00:00:00Z", "with the end of the day");
    let moment = keyrack.json(&["key", "create", "cd", "--expires", "2099-01-31T12:00:00Z"]);
    assert_eq!(text(&moment["expires_at"]), "2099-01-31T12:00:00Z");
    assert_eq!(keyrack.json(&["audit", "list", "--since", "2099-01-31"]), json!([]));
    assert!(keyrack.json(&["audit", "list", "--before", "2099-01-31"]).as_array().is_some_and(|all| !all.is_empty()));
    keyrack.run(&["audit", "list", "--since", "yesterday"]).fails(2, "or as a day: 2026-11-22");

    let id = text(&day["id"]);
    keyrack.run(&["key", "revoke", "ci", "--yes"]).fails(3, "It stands beside the name in: keyrack key list");
    keyrack.run(&["key", "revoke", id, "--yes"]).ok();
    let again = keyrack.run(&["key", "revoke", id]).ok();
    assert!(again.out.contains("is revoked already, since 20"), "{}", again.out);

    let taken = keyrack.run(&["user", "add", "--email", "ada@example.com", "--name", "Ada"]);
    taken.fails(1, "email: Email address is already in use.\nWho has it: keyrack user show ada@example.com");
    let twice = keyrack.feed(PASSWORD, &["admin", "create", "--email", "ada@example.com", "--password-file", "-"]);
    twice.fails(1, "Make them an administrator: keyrack user set ada@example.com --role admin");
    for inside in ["http://hooks.example.com/", "https://10.0.0.1/"] {
        keyrack.run(&["webhook", "add", inside, "--event", "user.created"]).fails(1, "[webhooks] allow_private_targets = true");
    }
    let never = keyrack.run(&["webhook", "add", "nonsense", "--event", "user.created"]);
    assert!(!never.err.contains("allow_private_targets"), "{}", never.err);
}

#[test]
fn keys_are_changed_from_the_shell_and_back_again() {
    let keyrack = Keyrack::with_admin();
    let key = keyrack.json(&["key", "create", "ci", "--scope", "users:read,keys:read"]);
    let id = text(&key["id"]);
    let args = ["key", "set", id, "--name", "CI two", "--scope", "users:read", "--expires", "2099-01-31"];
    let args = [&args[..], &["--ip-allow", "10.0.0.0/8", "--ip-allow", "2001:db8::/32", "--window", "5/1m"]].concat();
    let set = keyrack.run(&args).ok();
    assert!(set.out.contains("CI two") && set.out.contains("expires_at    2099-02-01T00:00:00Z"), "{}", set.out);
    let undo = set.err.trim_end().strip_prefix("Undo: keyrack ").expect("a way back");
    let words = format!("key set {id} --name ci --scope users:read,keys:read --expires never --no-ip-allow --no-windows");
    assert_eq!(undo, words);
    let changed = keyrack.json(&["key", "show", id]);
    assert_eq!((&changed["scopes"], &changed["ip_allow"]), (&json!(["users:read"]), &json!(["10.0.0.0/8", "2001:db8::/32"])));
    assert_eq!(changed["windows"], json!([{ "limit": 5, "seconds": 60 }]));
    keyrack.run(&undo.split(' ').collect::<Vec<_>>()).ok();
    let back = keyrack.json(&["key", "show", id]);
    for field in ["name", "scopes", "expires_at", "ip_allow", "windows"] {
        assert_eq!(back[field], key[field], "{field}");
    }
    keyrack.run(&["key", "set", id]).fails(2, "Nothing to change was given.");
    let did = keyrack.json(&["audit", "list", "--action", "key.updated"]);
    assert_eq!(did.as_array().map(Vec::len), Some(2), "{did}");
    keyrack.run(&["key", "revoke", id, "--yes"]).ok();
    keyrack.run(&["key", "set", id, "--name", "x"]).fails(1, "revoked");
    assert!(keyrack.run(&["completions", "fish"]).ok().out.contains("no-ip-allow"));
}

#[test]
fn webhooks_are_changed_paused_and_deleted_from_the_shell() {
    let keyrack = Keyrack::with_admin();
    let config = keyrack.root.path().join("keyrack.toml");
    std::fs::write(&config, "[webhooks]\nallow_private_targets = true\n").expect("writes");
    let run = |args: &[&str]| keyrack.run(&[&["--config", "keyrack.toml", "webhook"], args].concat());
    let made = run(&["add", "http://127.0.0.1:9999/", "--event", "user.created", "--json"]).json();
    let id = text(&made["id"]);
    let shown = run(&["show", id, "--json"]).json();
    assert_eq!((&shown["url"], shown.get("secret")), (&made["url"], None));
    assert!(run(&["show", id]).ok().out.contains("every account"));

    let set = run(&["set", id, "--url", "http://127.0.0.1:9998/", "--event", "key.created,key.revoked"]).ok();
    assert!(set.err.contains(&format!("webhook set {id} --url http://127.0.0.1:9999/ --event user.created")), "{}", set.err);
    assert_eq!(run(&["show", id, "--json"]).json()["events"], json!(["key.created", "key.revoked"]));
    run(&["set", id]).fails(2, "--url");
    keyrack.run(&["webhook", "set", id, "--url", "http://127.0.0.1:9/"]).fails(1, "url: ");
    assert_eq!(run(&["pause", id, "--json"]).json()["status"], "paused");
    let resumed = run(&["resume", id]).ok();
    assert!(resumed.out.contains("is active") && resumed.err.contains("webhook pause wh_"), "{}{}", resumed.out, resumed.err);
    let rotated = run(&["rotate-secret", id, "--json"]).json();
    assert!(text(&rotated["secret"]).starts_with("whsec_") && rotated["secret"] != made["secret"], "{rotated}");
    assert!(run(&["rotate-secret", id, "--overlap", "0s"]).ok().err.contains("no longer signed with the old secret"));
    run(&["delete", id]).fails(4, "--yes");
    assert_eq!(run(&["delete", id, "--yes", "--json"]).json()["deleted"], true);
    for verb in ["show", "pause", "resume", "delete", "rotate-secret"] {
        run(&[verb, id]).fails(3, "There is no webhook");
    }
    for action in ["webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.deleted"] {
        assert_ne!(keyrack.json(&["audit", "list", "--action", action]), json!([]), "{action}");
    }
    assert!(keyrack.run(&["completions", "bash"]).ok().out.contains("rotate-secret"));
}

#[test]
fn settings_are_shown_as_they_take_effect_and_explained_with_their_files() {
    let keyrack = Keyrack::new();
    let shown = keyrack.run(&["config", "show"]).ok().out;
    let row = shown.lines().find(|line| line.starts_with("api.key_prefix")).expect("a row");
    assert!(row.contains("\"kr_\"") && row.ends_with("default"), "{row}");
    for key in ["metrics.token", "metrics.token_file"] {
        let told = keyrack.run(&["config", "explain", key]).ok().out;
        assert!(told.contains("token_file = \"FILE\"   Environment: KEYRACK_METRICS_TOKEN_FILE"), "{told}");
    }
    assert!(
        keyrack
            .run(&["config", "explain", "--toml"])
            .ok()
            .out
            .contains("\n# Better from the first line of a file: token_file = \"FILE\"\n")
    );
}

#[test]
fn a_container_starts_by_the_lines_that_are_written_down() {
    let read = |file: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("read");
    let written = read("packaging/docker/Dockerfile") + &read("docs/OPERATIONS.md");
    let lines = written.lines().filter_map(|line| line.trim_start_matches("# ").strip_prefix("docker run "));
    // The one that orders a certificate is left out: nobody answers it here.
    let lines: Vec<_> = lines.filter(|line| !line.contains("=acme")).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        let keyrack = Keyrack::new();
        let mut environment: Vec<_> =
            line.split(" -e ").skip(1).filter_map(|given| given.split(' ').next()?.split_once('=')).collect();
        environment.push(("KEYRACK_SERVER_LISTEN", "0.0.0.0:0"));
        let server = keyrack.serve_in(&environment, &[]);
        assert!(text(&server.started["listen"]).starts_with("0.0.0.0:"), "{line}");
    }
}

#[test]
fn accounts_and_tiers_are_managed_from_the_shell() {
    let keyrack = Keyrack::new();
    keyrack.run(&["setup-link"]).ok();
    let tiers = keyrack.json(&["tier", "list"]);
    let names: Vec<_> = tiers.as_array().expect("an array").iter().map(|tier| text(&tier["name"])).collect();
    assert_eq!(names, ["Enterprise", "Free", "Pro"]);
    let gold = keyrack.json(&["tier", "set", "Gold", "--window", "5000/1h", "--window", "100/1s"]);
    assert_eq!(gold["windows"][0], serde_json::json!({ "limit": 100, "seconds": 1 }));

    let acme = keyrack.json(&["account", "add", "Acme", "--tier", "Gold"]);
    assert_eq!(keyrack.json(&["account", "show", "acme"]), acme);
    keyrack.run(&["account", "set", "Acme", "--window", "7/1m"]).fails(2, "--reason");
    let own =
        ["account", "set", "Acme", "--no-tier", "--window", "7/1m", "--reason", "trusted sender", "--metadata", r#"{"a":1}"#];
    let own = keyrack.json(&own);
    assert_eq!((&own["windows"][0]["limit"], &own["windows_reason"]), (&json!(7), &json!("trusted sender")));
    assert_eq!((&own["windows_by"], &own["metadata"]), (&json!("command line"), &json!({ "a": 1 })));
    assert_eq!(keyrack.json(&["account", "set", "Acme", "--no-windows", "--name", "Acme Ltd"])["windows"], Value::Null);
    keyrack.run(&["account", "suspend", "Acme Ltd"]).fails(4, "--yes");
    assert_eq!(keyrack.json(&["account", "suspend", "Acme Ltd", "--yes"])["status"], "suspended");
    assert_eq!(keyrack.json(&["account", "resume", "Acme Ltd"])["status"], "active");
    keyrack.json(&["account", "add", "Tpyo"]);
    keyrack.run(&["account", "delete", "Tpyo"]).fails(4, "--yes");
    assert_eq!(keyrack.json(&["account", "delete", "Tpyo", "--yes"])["deleted"], true);
    keyrack.run(&["account", "show", "Tpyo"]).fails(3, "There is no account Tpyo");
    assert_eq!(keyrack.json(&["account", "list"]).as_array().map(Vec::len), Some(1));
    keyrack.run(&["account", "set", "Acme Ltd", "--tier", "Silver"]).fails(1, "There is no tier `Silver`. The tiers are: ");

    keyrack.run(&["tier", "delete", "Gold"]).fails(4, "--yes");
    assert_eq!(keyrack.json(&["tier", "delete", "Gold", "--yes"])["deleted"], true);
    keyrack.run(&["tier", "delete", "Gold", "--yes"]).fails(3, "There is no tier Gold");
    for args in [&["tier", "list"][..], &["account", "list"], &["account", "show", "Acme Ltd"]] {
        assert!(!keyrack.run(args).ok().out.is_empty());
    }
    let set = keyrack.run(&["tier", "set", "Pro", "--window", "9/1s"]).ok();
    assert_eq!(set.out, "Tier Pro: 200/1s, 10000/1h -> 9/1s\n");
    assert_eq!(set.err, "Undo: keyrack tier set Pro --window 200/1s --window 10000/1h\n");
}

#[test]
fn oauth_clients_are_managed_from_the_shell() {
    let keyrack = Keyrack::with_admin();
    let made = keyrack.json(&["client", "create", "Reports", "--redirect-uri", "https://app.example.com/cb", "--scope", "read"]);
    let id = text(&made["client_id"]);
    assert!(id.starts_with("client_") && text(&made["client_secret"]).starts_with("krs_"), "{made}");
    let public = keyrack.json(&["client", "create", "App", "--public", "--redirect-uri", "com.example.app:/cb"]);
    assert!(public["client_secret"].is_null(), "{public}");
    let listed = keyrack.json(&["client", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    assert!(listed[0].get("client_secret").is_none() && listed[0]["client_id"] == id, "{listed}");
    let rotated = keyrack.json(&["client", "rotate-secret", id, "--overlap", "0s"]);
    assert_ne!(rotated["client_secret"], made["client_secret"]);
    assert_eq!(keyrack.run(&["client", "delete", id]).code, 4, "it asks first");
    keyrack.run(&["client", "delete", id, "--yes"]).ok();
    assert_eq!(keyrack.run(&["client", "delete", id, "--yes"]).code, 3);
    let wrong = keyrack.run(&["client", "create", "Bad", "--redirect-uri", "http://app.example.com/cb"]);
    assert!(wrong.code == 1 && wrong.err.contains("Use https"), "{} {}", wrong.code, wrong.err);
    assert!(keyrack.run(&["completions", "bash"]).ok().out.contains("rotate-secret"));
}

#[test]
fn an_administrator_is_made_and_let_in_again() {
    let keyrack = Keyrack::new();
    keyrack.run(&["admin", "create", "--email", "ada@example.com"]).fails(2, "--password-file");
    keyrack
        .feed("short", &["admin", "create", "--email", "ada@example.com", "--password-file", "-"])
        .fails(1, "at least 8 characters");
    let file = keyrack.root.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    let file = file.to_str().expect("UTF-8");
    let ada = keyrack.json(&["admin", "create", "--email", "ada@example.com", "--name", "Ada", "--password-file", file]);
    assert_eq!((text(&ada["role"]), text(&ada["name"])), ("admin", "Ada"));
    let reset = keyrack.run(&["admin", "reset-password", "--email", "ada@example.com", "--password-file", file]).ok();
    assert!(reset.out.starts_with("Changed the password of Ada"), "{}", reset.out);
    let nobody = ["admin", "reset-password", "--email", "eve@example.com", "--password-file", file];
    keyrack.run(&nobody).fails(3, "There is no user eve@example.com");
    let twice = ["admin", "create", "--email", "ada@example.com", "--password-file", file];
    keyrack.run(&twice).fails(1, "Email address is already in use.");
    keyrack.run(&["user", "delete", "ada@example.com", "--yes"]).fails(1, "last administrator");
}

#[test]
fn a_second_factor_is_taken_away_and_one_that_is_not_there_is_told_so() {
    let keyrack = Keyrack::with_admin();
    let disable = ["admin", "disable-mfa", "--email", "ada@example.com"];
    let none = keyrack.run(&disable).ok();
    assert!(none.out.contains("has no second factor") && !none.out.contains("sessions have ended"), "{}", none.out);
    let conn = rusqlite::Connection::open(keyrack.data().join("keyrack.db")).expect("opens");
    conn.execute("UPDATE users SET totp_seed = x'00'", []).expect("changes");
    let had = keyrack.run(&disable).ok();
    assert!(had.out.starts_with("Removed the second factor of") && had.out.contains("sessions have ended"), "{}", had.out);
    assert_eq!(keyrack.run(&disable).ok().out, none.out);
}

#[test]
fn a_setup_link_is_made_as_long_as_there_is_no_administrator() {
    let keyrack = Keyrack::new();
    let link = keyrack.run(&["setup-link"]).ok();
    assert!(link.out.starts_with("http://127.0.0.1:8080/setup/") && link.out.trim_end().len() == 42, "{}", link.out);
    assert!(text(&keyrack.json(&["setup-link"])["url"]).contains("/setup/"));
    keyrack.feed(PASSWORD, &["admin", "create", "--email", "ada@example.com", "--password-file", "-"]).ok();
    keyrack.run(&["setup-link"]).fails(1, "There is an administrator already");
}

#[test]
fn the_other_verbs_answer() {
    let keyrack = Keyrack::new();
    assert_eq!(keyrack.json(&["config", "check"])["ok"], true);
    assert!(!keyrack.data().exists(), "looking at settings makes nothing");
    keyrack.run(&["setup-link"]).ok();
    assert!(keyrack.run(&["migrate"]).ok().out.contains("up to date"));
    let shown = keyrack.json(&["config", "show"]);
    assert_eq!(shown[0], serde_json::json!({ "key": "server.listen", "value": "127.0.0.1:8080", "source": "default" }));
    assert!(keyrack.run(&["config", "show"]).ok().out.contains("limits.max_concurrent"));
    assert!(keyrack.run(&["config", "check"]).ok().out.starts_with("No mistakes."));
    assert_eq!(keyrack.json(&["config", "explain", "listen"])["environment"], "KEYRACK_SERVER_LISTEN");
    assert!(keyrack.run(&["config", "explain"]).ok().out.contains("server.public_url\n"));
    assert!(keyrack.run(&["config", "explain", "--toml"]).ok().out.contains("\n[limits]\n"));
    keyrack.run(&["config", "explain", "pubic_url"]).fails(3, "Did you mean server.public_url?");
    for shell in ["bash", "zsh", "fish"] {
        assert!(keyrack.run(&["completions", shell]).ok().out.contains("setup-link"));
    }
    assert!(keyrack.run(&["--help"]).ok().out.contains("Usage: keyrack"));
    assert!(keyrack.run(&["--version"]).ok().out.starts_with("keyrack "));
}

#[test]
fn the_api_is_printed_as_an_openapi_document_without_a_data_directory() {
    let keyrack = Keyrack::new();
    let mut command = keyrack.command(&["openapi"]);
    command.env("KEYRACK_SERVER_PUBLIC_URL", "https://keys.example.com").env("KEYRACK_API_DIALECT", "usertour");
    let done = command.output().expect("it runs");
    let document: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&document["openapi"], &document["servers"][0]["url"]), (&"3.1.0".into(), &"https://keys.example.com".into()));
    let list = &document["paths"]["/v1/users"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(list["properties"]["results"].is_object(), "{list}");
    assert!(!keyrack.data().exists());
}

#[test]
fn exit_codes_tell_scripts_what_happened() {
    let keyrack = Keyrack::with_admin();
    for usage in [
        &["frobnicate"][..],
        &["user", "list", "--listen", "x"],
        &["--listen", "127.0.0.1:1", "user", "list"],
        &["tier", "set", "Pro"],
        &["tier", "set", "Pro", "--window", "many"],
        &["tier", "set", "Pro", "--window", "1/1s", "--window", "2/1s"],
        &["key", "create", "x", "--scope", "user:read"],
        &["key", "create", "x", "--expires", "soon"],
        &["key", "create", ""],
        &["user", "add", "--name", "X", "--email", "nobody"],
        &["user", "set", "ada@example.com", "--role", "king"],
    ] {
        assert_eq!(keyrack.run(usage).code, 2, "{usage:?}");
    }
    for missing in [
        &["user", "show", "123"][..],
        &["user", "set", "eve@example.com", "--name", "Eve"],
        &["key", "show", "key_01h455vb4pex5vsknk084sn02q"],
        &["key", "rotate", "123"],
        &["account", "show", "Nowhere"],
        &["key", "list", "--owner", "eve@example.com"],
    ] {
        assert_eq!(keyrack.run(missing).code, 3, "{missing:?}");
    }
    assert_eq!(keyrack.run(&["key", "create", "x", "--owner", "ada@example.com"]).code, 0);
    let nobody = Keyrack::new();
    nobody.run(&["setup-link"]).ok();
    nobody.run(&["key", "create", "x"]).fails(1, "There is no administrator yet to own the key.");
}

#[test]
fn the_data_directory_is_the_one_named_else_the_units_else_here() {
    let keyrack = Keyrack::new();
    let root = keyrack.root.path();
    let begin = |args: &[&str], state: Option<&str>| {
        let mut command = keyrack.command(&[args, &["setup-link"]].concat());
        command.env_remove("KEYRACK_DATA").envs(state.map(|dirs| ("STATE_DIRECTORY", dirs.to_owned())));
        finished(command.spawn().expect("it starts")).ok();
    };
    begin(&["--data", "named"], Some("unit:other"));
    assert!(root.join("named/keyrack.db").exists() && !root.join("unit").exists());
    begin(&[], Some("unit:other"));
    assert!(root.join("unit/keyrack.db").exists());
    begin(&[], None);
    assert!(root.join("keyrack-data/keyrack.db").exists());
}

#[test]
fn commands_in_messages_can_be_copied_as_they_stand() {
    let keyrack = Keyrack::with_admin();
    let mut command = keyrack.command(&["--data", "data", "tier", "set", "Big Ones", "--window", "9/1s"]);
    let set = finished(command.arg0("./keyrack").env_remove("KEYRACK_DATA").spawn().expect("it starts")).ok();
    assert_eq!(set.err, "Undo: ./keyrack --data data tier delete 'Big Ones'\n");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let keyrack = Keyrack::with_admin();
    let mut child = keyrack.command(&["completions", "bash"]).spawn().expect("it starts");
    drop(child.stdout.take());
    assert_eq!(finished(child).code, 0);
}

#[test]
fn a_server_says_where_it_is_and_its_link_last() {
    let keyrack = Keyrack::new();
    let mut child = keyrack.command(&["--listen", "127.0.0.1:0", "--no-color"]).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let told: Vec<String> = lines.by_ref().take(6).collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert!(told[0].starts_with("keyrack ") && told[0].contains("(new, SQLite)"), "{told:?}");
    assert!(told[1].contains("/v1") && told[1].contains("/docs"), "{told:?}");
    assert!(told[3].starts_with("! Only this machine can connect."), "{told:?}");
    assert!(told[4].starts_with("Create the first admin (link works once, until "), "{told:?}");
    let link = told[5].trim();
    assert!(link.starts_with("http://127.0.0.1:") && !link.contains(":0/") && link.contains("/setup/"), "{told:?}");
}

#[test]
fn a_new_setup_link_is_the_running_servers() {
    let keyrack = Keyrack::new();
    let server = keyrack.serve(&[]);
    assert!(text(&server.started["setup_url"]).starts_with(&server.url("/setup/")));
    assert!(text(&keyrack.json(&["setup-link"])["url"]).starts_with(&server.url("/setup/")));
}

#[test]
fn a_port_in_use_is_told_with_its_holder() {
    let keyrack = Keyrack::new();
    let held = TcpListener::bind("127.0.0.1:0").expect("a port");
    let addr = held.local_addr().expect("an address").to_string();
    let refused = keyrack.run(&["serve", "--listen", &addr]);
    refused.fails(1, &format!("Cannot listen on {addr}: already in use by "));
    refused.fails(1, &format!("(pid {}).\nTry: keyrack serve --listen 127.0.0.1:", std::process::id()));
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let keyrack = Keyrack::new();
    let server = keyrack.serve(&[]);
    let refused = keyrack.run(&["serve", "--listen", "127.0.0.1:0"]);
    refused.fails(1, &format!("is used by Keyrack pid {} since ", server.child.id()));
    refused.fails(1, &format!("Open {}/ or stop it first", server.url("")));
    keyrack.run(&["user", "list"]).ok();
}

#[test]
fn plain_http_beyond_this_machine_is_refused_with_words() {
    let keyrack = Keyrack::new();
    let refused = keyrack.run(&["serve", "--listen", "0.0.0.0:0"]);
    refused.fails(1, "Refusing plain HTTP on 0.0.0.0:0");
    refused.fails(1, "--insecure-http");
    assert!(!keyrack.data().exists(), "a refused start leaves nothing behind");
    let server = keyrack.serve(&["--listen", "0.0.0.0:0", "--insecure-http"]);
    assert_eq!(server.started["listen"].as_str().map(|addr| addr.starts_with("0.0.0.0:")), Some(true));
}

#[test]
fn mistakes_in_the_settings_are_told_together() {
    let keyrack = Keyrack::new();
    std::fs::write(keyrack.root.path().join("keyrack.toml"), "[server]\npubic_url = \"x\"\ndrain_timeout = \"2 weeks\"\n")
        .expect("written");
    let mut serve = keyrack.command(&["serve", "--config", "keyrack.toml"]);
    let refused = finished(serve.env("KEYRACK_LIMITS_MAX_QUEUED", "lots").spawn().expect("it starts"));
    refused.fails(1, "keyrack.toml:2: unknown key \"pubic_url\".\nDid you mean public_url?   All keys: keyrack config explain\n");
    refused.fails(1, "keyrack.toml:3: drain_timeout = \"2 weeks\": use a number and unit, for example \"30s\" or \"2m\".\n");
    refused.fails(1, "KEYRACK_LIMITS_MAX_QUEUED=\"lots\": ");
    keyrack.run(&["config", "check", "--config", "keyrack.toml"]).fails(1, "pubic_url");
    keyrack.run(&["serve", "--config", "missing.toml"]).fails(1, "Cannot read missing.toml");
}

#[test]
fn data_of_a_newer_version_is_refused_and_left_alone() {
    let keyrack = Keyrack::with_admin();
    let conn = rusqlite::Connection::open(keyrack.data().join("keyrack.db")).expect("a database");
    conn.pragma_update(None, "user_version", 999).expect("set");
    let refused = keyrack.run(&["serve", "--listen", "127.0.0.1:0"]);
    refused.fails(1, "(schema 999); this is ");
    refused.fails(1, "Upgrade Keyrack, or restore the backup");
}

/// The same command as an ordinary user: root may do everything.
fn unprivileged(mut command: Command) -> Command {
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}

#[test]
fn a_directory_that_cannot_be_written_is_told_with_its_owner() {
    let keyrack = Keyrack::new();
    let dir = keyrack.data();
    std::fs::create_dir(&dir).expect("made");
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("set");
    mode(keyrack.root.path(), 0o755);
    mode(&dir, 0o555);
    let refused = finished(unprivileged(keyrack.command(&["serve", "--listen", "127.0.0.1:0"])).spawn().expect("it starts"));
    refused.fails(1, &format!("Cannot write {} (owner ", dir.display()));
    refused.fails(1, "mode 555).\nFix: sudo chown ");
}

#[test]
fn a_low_port_is_told_with_the_permission_it_needs() {
    let first_open = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if first_open.trim().parse::<u16>().is_ok_and(|port| port <= 443) {
        return; // this machine lets everyone have it
    }
    let keyrack = Keyrack::new();
    std::fs::set_permissions(keyrack.root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("set");
    let refused = finished(unprivileged(keyrack.command(&["serve", "--listen", "127.0.0.1:443"])).spawn().expect("it starts"));
    refused.fails(1, "Port 443 needs permission.\nRun: sudo setcap cap_net_bind_service=+ep ");
}

#[test]
fn a_key_revoked_from_the_shell_is_refused_by_the_running_server() {
    let keyrack = Keyrack::with_admin();
    let key = keyrack.json(&["key", "create", "ci"]);
    let (id, secret) = (text(&key["id"]), text(&key["secret"]));
    let server = keyrack.serve(&[]);
    assert_eq!(server.status("/v1/users", secret), 200);
    keyrack.run(&["key", "revoke", id, "--yes"]).ok();
    let revoked = Instant::now();
    while server.status("/v1/users", secret) != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(2), "it still passes after {:?}", revoked.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn keys_imported_from_the_shell_pass_at_the_running_server() {
    let keyrack = Keyrack::with_admin();
    let server = keyrack.serve(&[]);
    assert_eq!(server.status("/v1/users", "hello"), 401);
    // The SHA-256 of `hello`.
    let record = r#"{"hash":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","hash_format":"sha256-hex","name":"Old","user_email":"ada@example.com"}"#;
    let file = keyrack.root.path().join("old.ndjson");
    std::fs::write(&file, format!("{record}\n{{}}\n")).expect("a file");
    let path = file.to_str().expect("a path");
    let refused = keyrack.run(&["key", "import", path]);
    refused.fails(1, "line 2: hash: `hash` is required.");
    refused.fails(1, "Nothing was imported.");
    assert_eq!(keyrack.feed(record, &["key", "import", "-", "--dry-run", "--json"]).json()["imported"], 1);
    std::fs::write(&file, record).expect("a file");
    assert_eq!(keyrack.run(&["key", "import", path]).ok().out, "1 key imported.\n");
    keyrack.run(&["key", "import", path]).fails(1, "There is a key with this hash already.");
    let imported = Instant::now();
    while server.status("/v1/users", "hello") != 200 {
        assert!(imported.elapsed() < Duration::from_secs(2), "it is still refused after {:?}", imported.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(keyrack.feed("hello", &["key", "test", "-", "--json"]).json()["valid"], true);
}

#[test]
fn a_second_signal_does_not_wait_for_the_requests_under_way() {
    let keyrack = Keyrack::with_admin();
    let key = keyrack.json(&["key", "create", "ci", "--scope", "write"]);
    let secret = text(&key["secret"]);
    let server = keyrack.serve(&[]);
    let mut stuck = server.connect();
    write!(stuck, "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n").expect("sent");
    write!(stuck, "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{").expect("sent");
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    server.terminate();
    std::thread::sleep(Duration::from_millis(300));
    server.terminate();
    assert_eq!(server.stopped(), 0);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert_eq!(stuck.read(&mut [0; 64]).unwrap_or(0), 0, "it was left unanswered");
}

#[test]
fn an_idle_connection_holds_up_no_stop() {
    let keyrack = Keyrack::new();
    let server = keyrack.serve(&[]);
    let mut idle = server.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let mut some = [0; 64];
    assert!(idle.read(&mut some).expect("an answer") > 0);
    let asked = Instant::now();
    server.terminate();
    assert_eq!(server.stopped(), 0);
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[test]
fn a_proxy_that_nobody_trusts_is_told_of_once() {
    let keyrack = Keyrack::new();
    let mut server = keyrack.serve(&[]);
    for _ in 0..3 {
        let mut stream = server.connect();
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.7\r\nConnection: close\r\n\r\n")
            .expect("sent");
        assert_eq!(status_of(stream), 200);
    }
    server.terminate();
    let mut log = String::new();
    server.child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("text");
    let told = "X-Forwarded-For from 127.0.0.1 ignored: not a trusted proxy. Trust it: trusted_proxies = [";
    assert_eq!(log.matches(told).count(), 1, "{log}");
}

#[test]
fn a_restart_hands_out_no_fresh_hour() {
    let keyrack = Keyrack::with_admin();
    let key = keyrack.json(&["key", "create", "ci"]);
    let left = |server: &Server| {
        let mut answer = String::new();
        server.get("/v1/users", text(&key["secret"])).read_to_string(&mut answer).expect("text");
        let line = answer.lines().find_map(|line| line.strip_prefix("x-ratelimit-remaining: ")).expect("the header");
        line.parse::<u64>().expect("a number")
    };
    let server = keyrack.serve(&[]);
    assert_eq!([left(&server), left(&server)], [999, 998]);
    server.terminate();
    assert_eq!(server.stopped(), 0);
    assert_eq!(left(&keyrack.serve(&[])), 997);
}

/// Asks again and again until nobody is let in any more, over one connection as long as it may; gives how often.
fn ask_until_the_door_is_closed<S: Read + Write>(secret: &str, mut connect: impl FnMut() -> Option<S>) -> usize {
    let mut answered = 0;
    while let Some(stream) = connect() {
        let mut stream = BufReader::new(stream);
        loop {
            let request = format!("GET /v1/users/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\n\r\n");
            let sent = stream.get_mut().write_all(request.as_bytes());
            let (status, last) = sent.ok().and_then(|()| next_answer(&mut stream)).expect("a request was cut off");
            assert_eq!(status, 200);
            answered += 1;
            if last {
                break;
            }
        }
    }
    answered
}

/// A key with room for much, and a server.
fn under_load(keyrack: &Keyrack, environment: &[(&str, &str)]) -> (String, Server) {
    keyrack.json(&["tier", "set", "Wide", "--window", "1000000/1h"]);
    keyrack.json(&["account", "set", "Default", "--tier", "Wide"]);
    let key = keyrack.json(&["key", "create", "load"]);
    (text(&key["secret"]).to_owned(), keyrack.serve_in(environment, &["--quiet"]))
}

/// Eight clients at once, and a SIGTERM in their middle.
fn stops_and_loses_nothing(server: Server, client: impl Fn() -> usize + Sync) {
    let mut told = None;
    let answered: usize = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(&client)).collect();
        std::thread::sleep(Duration::from_millis(500));
        server.terminate();
        told = Some(Instant::now());
        clients.into_iter().map(|client| client.join().expect("no request lost")).sum()
    });
    assert!(answered > 100, "{answered} requests are no load");
    assert_eq!(server.stopped(), 0);
    let drain_timeout = keyrack::config::Config::default().server.drain_timeout;
    assert!(told.is_some_and(|told| told.elapsed() < drain_timeout), "within the time that it has");
}

#[test]
fn a_stop_cuts_off_nobody_who_got_through_the_door() {
    let keyrack = Keyrack::with_admin();
    let (secret, server) = under_load(&keyrack, &[]);
    let addr = server.addr();
    stops_and_loses_nothing(server, || ask_until_the_door_is_closed(&secret, || TcpStream::connect(addr).ok()));
}

#[test]
fn a_stop_cuts_off_nobody_over_tls_either() {
    let keyrack = Keyrack::with_admin();
    let (secret, server) = under_load(&keyrack, &[("KEYRACK_TLS_MODE", "self-signed")]);
    let pem = std::fs::read_to_string(keyrack.data().join("tls/self-signed.pem")).expect("it was made");
    let tls = TlsClient::trusting(server.addr(), &pem, Clock::real().now()).named("localhost");
    let connect = || Some(tls.handshake(TcpStream::connect(tls.addr).ok()?).expect("a handshake was cut off"));
    stops_and_loses_nothing(server, || ask_until_the_door_is_closed(&secret, connect));
}

#[test]
fn a_stop_lets_what_is_under_way_finish() {
    const CLIENTS: usize = 20;
    let keyrack = Keyrack::with_admin();
    let key = keyrack.json(&["key", "create", "ci", "--scope", "write"]);
    let secret = text(&key["secret"]);
    let server = keyrack.serve(&[]);
    let bodies = (0..CLIENTS).map(|n| format!(r#"{{"name":"User {n}","email":"u{n}@example.com","password":"{PASSWORD}"}}"#));
    let begun: Vec<(TcpStream, String)> = bodies
        .map(|body| {
            let mut stream = server.connect();
            let (first, rest) = body.split_at(10);
            let length = body.len();
            write!(
                stream,
                "POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n\r\n{first}"
            )
            .expect("sent");
            (stream, rest.to_owned())
        })
        .collect();
    server.terminate();
    std::thread::sleep(Duration::from_millis(300));
    for (mut stream, rest) in begun {
        stream.write_all(rest.as_bytes()).expect("still connected");
        assert_eq!(status_of(stream), 201);
    }
    assert_eq!(server.stopped(), 0);
    assert_eq!(keyrack.json(&["user", "list"]).as_array().map(Vec::len), Some(CLIENTS + 1));
}

#[test]
fn users_are_imported_from_a_file_and_exported_to_one() {
    let keyrack = Keyrack::new();
    keyrack.run(&["setup-link"]).ok();
    let file = keyrack.root.path().join("people.csv");
    std::fs::write(&file, "email,name\nada@example.com,Ada\nnobody,X\n").expect("writes");
    let path = file.to_str().expect("a path");
    let held_back = keyrack.run(&["user", "import", path]);
    held_back.fails(1, "people.csv:3: Enter an email address");
    assert_eq!(keyrack.json(&["user", "list"]), json!([]));
    assert_eq!(keyrack.json(&["user", "import", path, "--leave-out", "--dry-run"])["created"], 1);
    assert_eq!(keyrack.json(&["user", "list"]), json!([]));
    assert_eq!(keyrack.json(&["user", "import", path, "--leave-out"])["created"], 1);
    held_back.fails(1, "people.csv: 1 mistake. Mend what is wrong");
    std::fs::write(&file, "e-post,name\nada@example.com,Ada\n").expect("writes");
    let unnamed = keyrack.run(&["user", "import", path, "--leave-out"]);
    unnamed.fails(1, "no column is the email address; the head names: e-post, name.\nCall it one of: email, emailaddress, mail,");
    std::fs::write(&file, "E-Mail,name,Phone\nada@example.com,Ada,1\n").expect("writes");
    let passed_over = keyrack.run(&["user", "import", path]).ok();
    assert!(passed_over.err.contains("Passed over, since users have no such thing: Phone."), "{}", passed_over.err);
    let exported = keyrack.json(&["user", "export"]);
    assert_eq!((&exported[0]["email"], &exported[0]["account"]), (&json!("ada@example.com"), &json!("Default")));
    let copy = keyrack.root.path().join("copy.csv");
    keyrack.run(&["user", "export", "--output", copy.to_str().expect("a path")]).ok();
    let copy = std::fs::read_to_string(copy).expect("the copy");
    assert!(copy.starts_with("id,name,email,") && copy.contains(",Ada,ada@example.com,member,active,"), "{copy}");
}

#[test]
fn webhooks_are_managed_from_the_shell_and_a_running_server_tells_of_what_the_shell_does() {
    let keyrack = Keyrack::with_admin();
    let receiver = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", receiver.local_addr().expect("an address"));
    keyrack.run(&["webhook", "add", &url, "--event", "user.created"]).fails(1, "begins with https://");
    let config = keyrack.root.path().join("keyrack.toml");
    std::fs::write(&config, "[webhooks]\nallow_private_targets = true\n").expect("writes");
    let config = config.to_str().expect("a path").to_owned();
    let (told, tells) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in receiver.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = vec![0; 8192];
            let read = stream.read(&mut request).expect("a request");
            stream.write_all(b"HTTP/1.1 204 Taken\r\nconnection: close\r\n\r\n").expect("an answer");
            drop(told.send(String::from_utf8_lossy(&request[..read]).into_owned()));
        }
    });
    let added = keyrack.json(&["--config", &config, "webhook", "add", &url, "--event", "user.created"]);
    assert!(text(&added["secret"]).starts_with("whsec_"));
    let listed = keyrack.json(&["webhook", "list"]);
    assert_eq!((&listed[0]["id"], listed[0].get("secret")), (&added["id"], None));
    let id = text(&added["id"]);
    let tested = keyrack.json(&["--config", &config, "webhook", "test", id]);
    assert_eq!((text(&tested["status"]), tested["response_code"].as_u64()), ("delivered", Some(204)));
    assert!(tells.recv_timeout(Duration::from_secs(10)).expect("a test").contains("webhook.test"));
    keyrack.run(&["webhook", "test", id]).fails(1, "Blocked: 127.0.0.1 is a loopback address");
    keyrack.run(&["webhook", "test", "wh_01h455vb4pex5vsknk084sn02q"]).fails(3, "There is no webhook");
    keyrack.run(&["webhook", "replay", "del_01h455vb4pex5vsknk084sn02q"]).fails(3, "There is no delivery");
    keyrack.run(&["webhook", "add", &url, "--event", "user.create"]).fails(2, "Did you mean `user.created`?");

    let server = keyrack.serve(&["--config", &config]);
    keyrack.run(&["user", "add", "--email", "grace@example.com", "--name", "Grace"]).ok();
    let told = tells.recv_timeout(Duration::from_secs(10)).expect("an event");
    assert!(told.contains("user.created") && told.contains("grace@example.com"), "{told}");
    let began = Instant::now();
    server.terminate();
    assert_eq!(server.stopped(), 0);
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// A server that is to show the certificate of these files, and is started with them in `root/tls`.
fn serve_files(keyrack: &Keyrack) -> Command {
    let mut command = keyrack.command(&["serve", "--json"]);
    let path = |name: &str| keyrack.root.path().join(name);
    command.env("KEYRACK_TLS_MODE", "files").env("KEYRACK_SERVER_LISTEN", "127.0.0.1:0");
    command.env("KEYRACK_TLS_CERT_FILE", path("cert.pem")).env("KEYRACK_TLS_KEY_FILE", path("key.pem"));
    command
}

#[test]
fn certificates_that_cannot_be_shown_are_told_at_the_start() {
    let refused = |keyrack: &Keyrack, words: &str| {
        finished(serve_files(keyrack).spawn().expect("it starts")).fails(1, words);
    };
    let keyrack = Keyrack::new();
    let path = |name: &str| keyrack.root.path().join(name);
    let (now, write) = (Clock::real().now(), |name: &str, text: &str| write_private(&path(name), text));
    refused(&keyrack, "cert.pem: No such file");
    let issued = Issued::for_days(now, 90);
    issued.write(keyrack.root.path());
    std::fs::set_permissions(path("key.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("changed");
    refused(&keyrack, "key.pem may be read by everyone on this machine (mode 644).\nRun: chmod 600 ");
    write("key.pem", &Issued::for_days(now, 90).key);
    refused(&keyrack, "key.pem is not the key of the certificate in ");
    write("key.pem", &issued.certificate);
    refused(&keyrack, "key.pem holds no private key");
    write("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    refused(&keyrack, "key.pem is locked with a passphrase");
    write("cert.pem", &issued.key);
    refused(&keyrack, "cert.pem holds no certificate");
    let unnamed = finished(keyrack.command(&["serve"]).env("KEYRACK_TLS_MODE", "files").spawn().expect("it starts"));
    unnamed.fails(1, "tls.mode is \"files\", and no files are named.\nSet tls.cert_file and tls.key_file.");
}

#[test]
fn a_certificate_that_ends_is_warned_of_and_a_new_one_taken_up_on_sighup() {
    let keyrack = Keyrack::new();
    let now = Clock::real().now();
    let before = Issued::for_days(now, 13);
    before.write(keyrack.root.path());
    let mut child = serve_files(&keyrack).spawn().expect("it starts");
    let mut started = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut started).expect("a line");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    let server = Server { child, started: serde_json::from_str(&started).expect("it started") };
    assert!(server.url("").starts_with("https://127.0.0.1:"), "{}", server.started);
    let warning = lines.by_ref().find(|line| line.contains("The certificate for keys.example.com ends on")).expect("a warning");
    assert!(warning.contains("cert.pem; it is taken up by itself"), "{warning}");

    let after = Issued::for_days(now, 90);
    after.write(keyrack.root.path());
    let pid = rustix::process::Pid::from_child(&server.child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it runs");
    lines.by_ref().find(|line| line.contains("a new certificate is shown")).expect("it is taken up");
    assert!(TlsClient::trusting(server.addr(), &after.certificate, now).is_shown_what_it_trusts());
}

#[test]
fn the_audit_log_is_listed_exported_and_verified() {
    let keyrack = Keyrack::with_admin();
    keyrack.run(&["key", "create", "billing-worker"]).ok();
    let listed = keyrack.json(&["audit", "list", "--action", "key.created"]);
    assert_eq!((listed[0]["target"]["name"].as_str(), listed.as_array().map(Vec::len)), (Some("billing-worker"), Some(1)));
    assert!(keyrack.run(&["audit", "list"]).ok().out.contains("The command line generated key billing-worker"));
    let exported = keyrack.run(&["audit", "export"]).ok().out;
    let first: Value = serde_json::from_str(exported.lines().next().expect("a line")).expect("a value");
    assert_eq!(first["action"], "keyrack.set_up");
    let csv = keyrack.run(&["audit", "export", "--format", "csv", "--actor", "command-line"]).ok().out;
    assert!(csv.starts_with("seq,id,created_at,") && csv.contains(",key.created,key,"), "{csv}");

    let sound = keyrack.json(&["audit", "verify"]);
    assert_eq!(sound["verified"], true);
    let head = sound["head"].as_str().expect("a head");
    keyrack.run(&["audit", "verify", "--head", head]).ok();
    let other = format!("{}:{}", sound["seq"], "0".repeat(64));
    keyrack.run(&["audit", "verify", "--head", &other]).fails(1, "the log was written anew");
    keyrack.run(&["audit", "verify", "--head", "nonsense"]).fails(2, "1204:");
}

#[test]
fn an_audit_log_that_was_altered_fails_and_names_the_event() {
    let keyrack = Keyrack::with_admin();
    let conn = rusqlite::Connection::open(keyrack.data().join("keyrack.db")).expect("opens");
    conn.execute_batch("DROP TRIGGER audit_events_keep_words; UPDATE audit_events SET actor_kind = 'user' WHERE seq = 2")
        .expect("changes");
    let done = keyrack.run(&["audit", "verify", "--json"]);
    done.fails(1, "Event 2 was changed after it was written.");
    let told: Value = serde_json::from_str(&done.out).expect("a value");
    assert_eq!((&told["verified"], &told["broken_seq"]), (&Value::from(false), &Value::from(2)));
}

#[test]
fn a_server_tells_the_head_of_the_audit_log() {
    let keyrack = Keyrack::with_admin();
    let mut child = keyrack.command(&["serve", "--listen", "127.0.0.1:0", "--json"]).spawn().expect("it starts");
    let mut started = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut started).expect("it says so");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let done = finished(child);
    let verified = keyrack.json(&["audit", "verify"]);
    let head = text(&verified["head"]);
    assert!(done.err.contains(head), "{head} is not in:\n{}", done.err);
}
