//! What commands make of a data directory: whose its files are, which settings hold there, and what comes of one without data.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::Value;

use crate::support::binary::{Done, Keyrack, finished, text};
use crate::support::secrets::files_below;

/// The user whose server it is in these tests, which root alone can play.
const NOBODY: u32 = 65_534;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
}

/// Data that belongs to this user.
fn data_of(user: u32) -> Keyrack {
    let keyrack = Keyrack::with_admin();
    set_mode(keyrack.root.path(), 0o755);
    give(&keyrack.data(), user);
    keyrack
}

fn give(dir: &Path, user: u32) {
    chown(dir, Some(user), Some(user)).expect("given");
    files_below(dir).into_iter().for_each(|file| chown(file, Some(user), Some(user)).expect("given"));
}

fn run_as(keyrack: &Keyrack, user: u32, args: &[&str]) -> Done {
    let mut command = keyrack.command(args);
    command.uid(user).gid(user);
    finished(command.spawn().expect("it starts"))
}

fn check(done: &Done, name: &str) -> Value {
    let told: Value = serde_json::from_str(&done.out).unwrap_or_else(|err| panic!("{err}: {}{}", done.out, done.err));
    let checks = told["checks"].as_array().expect("checks");
    checks.iter().find(|check| check["name"] == name).cloned().unwrap_or_else(|| panic!("{name}: {told:#}"))
}

#[test]
fn what_root_makes_in_a_data_directory_is_its_owners() {
    if !is_root() {
        return;
    }
    let keyrack = data_of(NOBODY);
    keyrack.run(&["backup", "create"]).ok();
    let config = keyrack.root.path().join("keyrack.toml");
    fs::write(&config, "[webhooks]\nallow_private_targets = true\n").expect("written");
    let config = config.to_str().expect("a path");
    // Makes the master key.
    keyrack.run(&["--config", config, "webhook", "add", "http://127.0.0.1:9999/", "--event", "user.created"]).ok();
    let made = files_below(&keyrack.data());
    assert!(made.iter().any(|file| file.ends_with("master.key")) && made.len() >= 4, "{made:?}");
    for path in made.into_iter().chain([keyrack.data().join("backups")]) {
        let meta = path.metadata().expect("a file");
        assert_eq!((meta.uid(), meta.gid()), (NOBODY, NOBODY), "{}", path.display());
    }
    let theirs = keyrack.data().join("backups/theirs.db");
    run_as(&keyrack, NOBODY, &["backup", "create", theirs.to_str().expect("a path")]).ok();

    // What root puts elsewhere stays root's.
    let elsewhere = keyrack.root.path().join("copy.db");
    keyrack.run(&["backup", "create", elsewhere.to_str().expect("a path")]).ok();
    assert_eq!(elsewhere.metadata().expect("a file").uid(), 0);
    // A link of the owner's leads root nowhere.
    let roots = keyrack.root.path().join("roots");
    fs::create_dir(&roots).expect("made");
    fs::remove_dir_all(keyrack.data().join("backups")).expect("removed");
    std::os::unix::fs::symlink(&roots, keyrack.data().join("backups")).expect("linked");
    keyrack.run(&["backup", "create"]).fails(1, "unable to open database");
    assert_eq!(files_below(&roots), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_restore_into_the_directory_of_a_user_is_theirs() {
    if !is_root() {
        return;
    }
    let keyrack = Keyrack::with_admin();
    keyrack.run(&["backup", "create", "copy.db"]).ok();
    let restored = keyrack.root.path().join("restored");
    fs::create_dir(&restored).expect("made");
    set_mode(&restored, 0o700);
    chown(&restored, Some(NOBODY), Some(NOBODY)).expect("given");
    keyrack.run(&["--data", restored.to_str().expect("a path"), "backup", "restore", "copy.db", "--yes"]).ok();
    for file in files_below(&restored) {
        assert_eq!(file.metadata().expect("a file").uid(), NOBODY, "{}", file.display());
    }
}

#[test]
fn a_doctor_sees_that_the_server_cannot_write_its_backups() {
    if !is_root() {
        return;
    }
    let keyrack = data_of(NOBODY);
    let backups = keyrack.data().join("backups");
    fs::create_dir(&backups).expect("made");
    set_mode(&backups, 0o700);
    for done in [keyrack.run(&["doctor", "--json"]), run_as(&keyrack, NOBODY, &["doctor", "--json"])] {
        let found = check(&done, "backup place");
        assert_eq!((done.code, &found["state"]), (1, &"failed".into()), "{found:#}");
        let fix = format!("sudo chown -R nobody: {}", backups.display());
        assert_eq!(text(&found["fix"]), fix);
    }
    chown(&backups, Some(NOBODY), Some(NOBODY)).expect("given");
    assert!(!keyrack.run(&["doctor", "--json"]).out.contains("backup place"));
}

#[test]
fn another_user_is_told_to_run_it_as_the_owner_and_never_to_take_the_data() {
    if !is_root() {
        return;
    }
    let keyrack = data_of(NOBODY);
    let shown = keyrack.data().display().to_string();
    let refused = run_as(&keyrack, 65_533, &["user", "list"]);
    refused.fails(1, &format!("Run this as its owner: sudo -u nobody keyrack --data {shown} …"));
    assert!(!refused.err.contains("chown"), "{}", refused.err);
    let told = run_as(&keyrack, 65_533, &["doctor", "--json"]);
    let found = check(&told, "database");
    assert!(text(&found["found"]).ends_with("keyrack.db may not be read by you"), "{found:#}");
    assert_eq!(text(&found["fix"]), format!("sudo -u nobody keyrack --data {shown} doctor"));
}

#[test]
fn commands_make_no_data_where_there_is_none() {
    let keyrack = Keyrack::new();
    for args in [
        &["user", "list"][..],
        &["user", "add", "--email", "b@example.com", "--name", "B"],
        &["key", "list"],
        &["account", "list"],
        &["tier", "list"],
        &["client", "list"],
        &["webhook", "list"],
        &["audit", "verify"],
        &["backup", "create"],
        &["migrate"],
        &["admin", "reset-password", "--email", "b@example.com"],
    ] {
        let refused = keyrack.run(args);
        refused.fails(
            1,
            &format!(
                "There is no data in {}.\nName another: --data DIR   or begin there: keyrack serve",
                keyrack.data().display()
            ),
        );
        assert!(!keyrack.data().exists(), "{args:?}");
    }
    keyrack.run(&["backup", "restore", "nothing.db", "--yes"]).fails(1, "nothing.db: No such file");
    assert!(!keyrack.data().exists(), "a restore of nothing leaves nothing");
    fs::write(keyrack.root.path().join("letters"), "letters").expect("written");
    keyrack.run(&["backup", "restore", "letters", "--yes"]).fails(1, "no database");
    assert!(!keyrack.data().exists(), "nor does one of something else");
}

#[test]
fn commands_have_the_settings_that_the_server_was_started_with() {
    let keyrack = Keyrack::with_admin();
    let path = |name: &str| keyrack.root.path().join(name);
    fs::write(path("passphrase"), "correct horse battery\n").expect("written");
    let text_of = format!(
        "[backup]\npassphrase_file = \"{}\"\n[webhooks]\nallow_private_targets = true\n[server]\ntrusted_proxies = [\"127.0.0.1/32\"]\n",
        path("passphrase").display()
    );
    fs::write(path("keyrack.toml"), &text_of).expect("written");
    let server = keyrack.serve(&["--config", "keyrack.toml"]);
    let with_server = |what: &str| {
        let sealed = keyrack.json(&["backup", "create", &format!("{what}.sealed")]);
        assert_eq!(sealed["sealed"], true, "{what}");
        keyrack.run(&["webhook", "add", "http://127.0.0.1:9999/", "--event", "user.created"]).ok();
        let told = keyrack.run(&["doctor", "--json"]);
        assert_eq!(text(&check(&told, "settings")["found"]), "no mistakes, 3 given", "{what}");
        assert_eq!(text(&check(&told, "proxies")["found"]), "1 network trusted");
    };
    with_server("beside it");
    server.terminate();
    assert_eq!(server.stopped(), 0);
    with_server("after it");
    assert_eq!(keyrack.json(&["--config", "/dev/null", "backup", "create", "open.db"])["sealed"], false, "another was named");

    fs::rename(path("keyrack.toml"), path("moved.toml")).expect("moved");
    let refused = keyrack.run(&["backup", "create", "not.db"]);
    refused.fails(1, "keyrack.toml: No such file");
    refused.fails(1, "has its settings from there.");
    refused.fails(1, "--config FILE (none: --config /dev/null)");
    assert!(!path("not.db").exists(), "no backup is left unsealed for a file that moved");

    let server = keyrack.serve(&[]);
    assert_eq!(keyrack.json(&["backup", "create", "open-2.db"])["sealed"], false, "this one was started without a file");
    drop(server);
}

#[test]
fn root_takes_no_settings_from_a_file_that_the_owner_of_the_data_can_write() {
    if !is_root() {
        return;
    }
    let keyrack = data_of(NOBODY);
    let config = keyrack.root.path().join("keyrack.toml");
    fs::write(&config, "[backup]\nkeep = 3\n").expect("written");
    drop(keyrack.serve(&["--config", "keyrack.toml"]));
    give(&keyrack.data(), NOBODY);
    let keep = |done: Done| done.json().as_array().expect("rows").iter().find(|row| row["key"] == "backup.keep").cloned();
    let shown = ["config", "show", "--json"];
    assert_eq!(keep(keyrack.run(&shown)).expect("a row")["value"], 3, "root's own file");
    assert_eq!(keep(run_as(&keyrack, NOBODY, &shown)).expect("a row")["value"], 3);
    chown(&config, Some(NOBODY), Some(NOBODY)).expect("given");
    keyrack.run(&shown).fails(1, "others than you may write it");
    keyrack.run(&shown).fails(1, "Run this as its user: sudo -u nobody keyrack --data ");
    assert_eq!(keep(run_as(&keyrack, NOBODY, &shown)).expect("a row")["value"], 3);
}
