//! `keyrack install` into a directory. A real machine is tested by `make test-systemd`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::binary::{Done, Keyrack};

fn install(keyrack: &Keyrack, args: &[&str]) -> Done {
    let root = keyrack.root.path().join("machine");
    std::fs::create_dir_all(&root).expect("a directory");
    keyrack.run(&[args, &["--root", root.to_str().expect("UTF-8")]].concat())
}

fn at(keyrack: &Keyrack, path: &str) -> PathBuf {
    keyrack.root.path().join("machine").join(path.trim_start_matches('/'))
}

fn read(keyrack: &Keyrack, path: &str) -> String {
    std::fs::read_to_string(at(keyrack, path)).unwrap_or_else(|err| panic!("{path}: {err}"))
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o777
}

const SETTINGS: &str = "/etc/keyrack/keyrack.toml";
const SERVICE: &str = "/etc/systemd/system/keyrack.service";
const SOCKET: &str = "/etc/systemd/system/keyrack.socket";

#[test]
fn a_dry_run_shows_everything_and_does_nothing() {
    let keyrack = Keyrack::new();
    let told = install(&keyrack, &["install", "--dry-run"]).ok().err;
    for word in
        ["/usr/local/bin/keyrack (", "    + ListenStream=127.0.0.1:8080", "    + Type=notify", "Nothing was done: --dry-run."]
    {
        assert!(told.contains(word), "{word} is not in:\n{told}");
    }
    assert!(!at(&keyrack, "/usr").exists() && !at(&keyrack, "/etc").exists());
}

#[test]
fn installing_asks_first() {
    let keyrack = Keyrack::new();
    install(&keyrack, &["install"]).fails(4, "--yes");
    assert!(!at(&keyrack, "/usr").exists());
}

#[test]
fn a_second_install_has_nothing_to_do() {
    let keyrack = Keyrack::new();
    install(&keyrack, &["install", "--yes"]).ok();
    let program = at(&keyrack, "/usr/local/bin/keyrack");
    assert_eq!((mode(&program), mode(&at(&keyrack, SETTINGS)), mode(&at(&keyrack, SERVICE))), (0o755, 0o640, 0o644));
    assert_eq!(std::fs::read(program).expect("it"), std::fs::read(env!("CARGO_BIN_EXE_keyrack")).expect("it"));
    assert!(install(&keyrack, &["install", "--yes"]).ok().err.contains("Nothing to do."));
}

#[test]
fn a_domain_is_all_that_a_public_server_needs() {
    let keyrack = Keyrack::new();
    install(&keyrack, &["install", "--domain", "keys.example.com", "--yes"]).ok();
    assert!(read(&keyrack, SOCKET).contains("\nListenStream=443\nListenStream=80\n"));
    let settings = read(&keyrack, SETTINGS);
    assert!(settings.contains("acme_domains = [\"keys.example.com\"]"), "{settings}");
    let config = at(&keyrack, SETTINGS);
    assert_eq!(keyrack.json(&["config", "check", "--config", config.to_str().expect("UTF-8")])["ok"], true);
    install(&keyrack, &["install", "--domain", "*.example.com"]).fails(2, "no wildcards");
}

#[test]
fn settings_that_were_changed_stay_and_a_changed_unit_is_shown_as_a_difference() {
    let keyrack = Keyrack::new();
    install(&keyrack, &["install", "--yes"]).ok();
    std::fs::write(at(&keyrack, SETTINGS), "[server]\nworkers = 1\n").expect("written");
    let told = install(&keyrack, &["install", "--listen", "10.0.0.1:9000", "--yes"]).ok().err;
    assert!(told.contains("    - ListenStream=127.0.0.1:8080\n    + ListenStream=10.0.0.1:9000"), "{told}");
    assert!(!told.contains(SETTINGS), "{told}");
    assert_eq!(read(&keyrack, SETTINGS), "[server]\nworkers = 1\n");
}

#[test]
fn uninstalling_leaves_data_and_settings() {
    let keyrack = Keyrack::new();
    install(&keyrack, &["install", "--yes"]).ok();
    std::fs::create_dir_all(at(&keyrack, "/var/lib/keyrack")).expect("a directory");
    let told = install(&keyrack, &["uninstall", "--yes"]).ok();
    assert!(told.out.contains("sudo rm -r /var/lib/keyrack /etc/keyrack"), "{}", told.out);
    assert!(
        !at(&keyrack, "/usr/local/bin/keyrack").exists() && !at(&keyrack, SERVICE).exists() && !at(&keyrack, SOCKET).exists()
    );
    assert!(at(&keyrack, SETTINGS).exists() && at(&keyrack, "/var/lib/keyrack").exists());
    assert!(install(&keyrack, &["uninstall", "--yes"]).ok().err.contains("Nothing to do."));
}

#[test]
fn beside_a_package_nothing_is_installed() {
    let keyrack = Keyrack::new();
    std::fs::create_dir_all(at(&keyrack, "/lib/systemd/system")).expect("a directory");
    std::fs::write(at(&keyrack, "/lib/systemd/system/keyrack.service"), "").expect("written");
    install(&keyrack, &["install", "--yes"]).fails(1, "here as a package already");
}
