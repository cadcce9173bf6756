//! What whoever runs the server does from a shell: back up, look after it, find out what is wrong.

use std::fs;

use crate::support::binary::{Keyrack, text};

#[test]
fn a_backup_is_made_checked_and_restored_from_the_shell() {
    let keyrack = Keyrack::with_admin();
    let made = keyrack.run(&["backup", "create", "copy.db"]).ok();
    assert!(made.out.contains("1 users") && made.err.contains("master key is not in it"), "{}{}", made.out, made.err);
    let manifest: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(keyrack.root.path().join("copy.db.json")).expect("read")).expect("json");
    assert_eq!(manifest["rows"]["users"], 1);
    keyrack.run(&["backup", "create", "copy.db"]).fails(1, "copy.db is there already");
    assert_eq!(keyrack.json(&["backup", "verify", "copy.db"])["ok"], true);
    keyrack
        .run(&["backup", "restore", "copy.db", "--yes"])
        .fails(1, "holds data already.\nStop the server and move it away: mv ");

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
        .fails(1, "another passphrase");
    keyrack.feed("correct horse battery", &["backup", "verify", "copy.sealed", "--passphrase-file", "-"]).ok();
}
