//! `keyrack install` and `uninstall`: a service of this machine's systemd. The plan is what differs from what is there; it is
//! shown and asked about before anything is done, so a second run has nothing to do.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use super::ask;
use super::failure::Failure;
use super::output::Output;
use crate::config::Domain;

const PROGRAM: &str = "/usr/local/bin/keyrack";
const SETTINGS: &str = "/etc/keyrack/keyrack.toml";
const USER: &str = "/etc/sysusers.d/keyrack.conf";
const SERVICE: &str = "/etc/systemd/system/keyrack.service";
const SOCKET: &str = "/etc/systemd/system/keyrack.socket";
/// What a distribution's package brings.
const PACKAGED: &str = "/lib/systemd/system/keyrack.service";
const DEFAULT_LISTEN: &str = "ListenStream=127.0.0.1:8080\n";

#[derive(Args)]
pub struct InstallArgs {
    /// Public: HTTPS on port 443 with a certificate from Let's Encrypt for this name, and port 80 that leads there
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Where to listen for a proxy in front [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", conflicts_with = "domain")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
pub struct UninstallArgs {
    #[command(flatten)]
    how: How,
}

#[derive(Args)]
struct How {
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Work on the tree below this directory, as for an image: files only, nothing is started
    #[arg(long, value_name = "DIR", default_value = "/", hide_default_value = true)]
    root: PathBuf,
}

enum Step {
    Write { path: PathBuf, content: Vec<u8>, mode: u32 },
    Remove(PathBuf),
    Run(&'static [&'static str]),
}

pub fn install(args: &InstallArgs, out: &Output) -> Result<()> {
    let how = &args.how;
    if how.at(PACKAGED).exists() {
        return Err(Failure::failed(
            "Keyrack is here as a package already.\nIts settings: /etc/keyrack/keyrack.toml   Its sockets: sudo systemctl edit keyrack.socket",
        ));
    }
    let domain = args.domain.as_deref().map(Domain::parse).transpose();
    let domain = domain.map_err(|advice| Failure::usage(format!("--domain: {advice}.")))?;
    let program = fs::read(std::env::current_exe()?).context("this program cannot be read")?;
    let settings = settings(domain.as_ref());
    let files = [
        (PROGRAM, program, 0o755),
        (USER, include_bytes!("../../packaging/systemd/keyrack.sysusers").to_vec(), 0o644),
        (SETTINGS, settings.clone().into_bytes(), 0o640),
        (SERVICE, include_bytes!("../../packaging/systemd/keyrack.service").to_vec(), 0o644),
        (SOCKET, socket(args.listen, domain.is_some()).into_bytes(), 0o644),
    ];
    let kept = fs::read_to_string(how.at(SETTINGS)).ok();
    let mut steps = Vec::new();
    for (path, content, mode) in files {
        let is_there = fs::read(how.at(path)).ok();
        // Settings belong to whoever has changed them.
        if is_there.as_ref().is_some_and(|there| *there == content || path == SETTINGS) {
            continue;
        }
        steps.push(Step::Write { path: how.at(path), content, mode });
        match path {
            USER => steps.push(Step::Run(&["systemd-sysusers", "/etc/sysusers.d/keyrack.conf"])),
            SETTINGS => steps.push(Step::Run(&["chown", "root:keyrack", SETTINGS])),
            _ => {}
        }
    }
    if how.is_this_machine() && (!steps.is_empty() || !is_active()) {
        // The socket is opened anew where its unit has changed, and then the service must not run.
        let socket_changes = steps.iter().any(|step| matches!(step, Step::Write { path, .. } if *path == how.at(SOCKET)));
        steps.push(Step::Run(&["systemctl", "daemon-reload"]));
        if socket_changes {
            steps.push(Step::Run(&["systemctl", "stop", "keyrack.service", "keyrack.socket"]));
        }
        steps.push(Step::Run(&["systemctl", "enable", "--now", "keyrack.socket"]));
        steps.push(Step::Run(&["systemctl", "enable", "keyrack.service"]));
        steps.push(Step::Run(&["systemctl", "restart", "keyrack.service"]));
    }
    steps.retain(|step| how.is_this_machine() || !matches!(step, Step::Run(_)));
    let done = carry_out(steps, how, "Install this?", out)?;
    if let Some(kept) = kept.filter(|kept| args.domain.is_some() && *kept != settings) {
        out.talk(format!(
            "{SETTINGS} is yours and stays as it is ({} lines). --domain needs there:\n{settings}",
            kept.lines().count()
        ));
    }
    out.result(&json!({ "installed": done, "program": PROGRAM, "settings": SETTINGS }), || match done {
        true if how.is_this_machine() => format!(
            "Keyrack runs{}.\n  Setup link  sudo -u keyrack keyrack --data /var/lib/keyrack setup-link\n  Logs        journalctl -u keyrack\n  \
             Settings    {SETTINGS}, then: sudo systemctl restart keyrack",
            domain.map_or_else(String::new, |domain| format!(" at https://{}", domain.as_str()))
        ),
        true => format!("Installed below {}.", how.root.display()),
        false => String::new(),
    })
}

pub fn uninstall(args: &UninstallArgs, out: &Output) -> Result<()> {
    let how = &args.how;
    let mut steps = Vec::new();
    if how.at(SERVICE).exists() {
        steps.push(Step::Run(&["systemctl", "disable", "--now", "keyrack.service", "keyrack.socket"]));
    }
    let removed = [SERVICE, SOCKET, USER, PROGRAM].into_iter().map(|path| how.at(path)).filter(|path| path.exists());
    steps.extend(removed.map(Step::Remove));
    if !steps.is_empty() {
        steps.push(Step::Run(&["systemctl", "daemon-reload"]));
    }
    steps.retain(|step| how.is_this_machine() || !matches!(step, Step::Run(_)));
    let done = carry_out(steps, how, "Uninstall this?", out)?;
    out.result(&json!({ "uninstalled": done }), || match done {
        true => "Data, settings and the user are still there. To delete them, with every key and user in them:\n  \
                 sudo rm -r /var/lib/keyrack /etc/keyrack && sudo userdel keyrack"
            .into(),
        false => String::new(),
    })
}

impl How {
    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn is_this_machine(&self) -> bool {
        self.root == Path::new("/")
    }
}

/// Shows the plan, asks, and does it. Whether anything was done.
fn carry_out(steps: Vec<Step>, how: &How, question: &str, out: &Output) -> Result<bool> {
    if steps.is_empty() {
        out.talk("Nothing to do.");
        return Ok(false);
    }
    for step in &steps {
        out.talk(step.in_words());
    }
    if how.dry_run {
        out.talk("Nothing was done: --dry-run.");
        return Ok(false);
    }
    if how.is_this_machine() && !rustix::process::geteuid().is_root() {
        return Err(Failure::failed("This changes the machine, and you are not root.\nRun the same again with sudo."));
    }
    ask::confirm(out, question)?;
    for step in &steps {
        step.run()?;
    }
    Ok(true)
}

impl Step {
    fn run(&self) -> Result<()> {
        match self {
            Self::Write { path, content, mode } => {
                let dir = path.parent().expect("a file of ours is in a directory");
                fs::create_dir_all(dir).with_context(|| format!("Cannot make {}", dir.display()))?;
                // In the place of a program that runs, too.
                let draft = path.with_extension("new");
                let write = || {
                    fs::write(&draft, content)?;
                    fs::set_permissions(&draft, fs::Permissions::from_mode(*mode))?;
                    fs::rename(&draft, path)
                };
                write().with_context(|| format!("Cannot write {}", path.display()))
            }
            Self::Remove(path) => fs::remove_file(path).with_context(|| format!("Cannot remove {}", path.display())),
            Self::Run(words) => {
                let status = Command::new(words[0]).args(&words[1..]).status();
                match status.with_context(|| format!("Cannot run {}", words[0]))? {
                    status if status.success() => Ok(()),
                    status => Err(Failure::failed(format!("{}: {status}.\nSee: journalctl -u keyrack -n 20", words.join(" ")))),
                }
            }
        }
    }

    fn in_words(&self) -> String {
        match self {
            Self::Write { path, content, .. } => {
                let shown = path.display();
                match (std::str::from_utf8(content), fs::read_to_string(path)) {
                    (Ok(new), Ok(old)) => format!("change  {shown}\n{}", difference(&old, new)),
                    (Ok(new), Err(_)) if new.len() < 64 * 1024 => format!("write   {shown}\n{}", difference("", new)),
                    _ => format!("write   {shown} ({} bytes)", content.len()),
                }
            }
            Self::Remove(path) => format!("remove  {}", path.display()),
            Self::Run(words) => format!("run     {}", words.join(" ")),
        }
    }
}

/// The lines that go and those that come, without what is the same before and after.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let rest = old.len().min(new.len()) - before;
    let after = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    let go = old[before..old.len() - after].iter().map(|line| format!("    - {line}"));
    let come = new[before..new.len() - after].iter().map(|line| format!("    + {line}"));
    go.chain(come).collect::<Vec<_>>().join("\n")
}

/// Whether the service runs. Without systemd it does not.
fn is_active() -> bool {
    let asked = Command::new("systemctl").args(["is-active", "--quiet", "keyrack.service"]).status();
    asked.is_ok_and(|status| status.success())
}

fn socket(listen: Option<SocketAddr>, public: bool) -> String {
    let unit = include_str!("../../packaging/systemd/keyrack.socket");
    match listen {
        _ if public => unit.replace(DEFAULT_LISTEN, "ListenStream=443\nListenStream=80\n"),
        Some(addr) => unit.replace(DEFAULT_LISTEN, &format!("ListenStream={addr}\n")),
        None => unit.to_owned(),
    }
}

/// A file of settings to begin with.
fn settings(domain: Option<&Domain>) -> String {
    let own = match domain.map(Domain::as_str) {
        Some(name) => format!(
            "[server]\npublic_url = \"https://{name}\"\n\n[tls]\nmode = \"acme\"\nacme_domains = [\"{name}\"]\n"
        ),
        None => "# Behind a proxy that does HTTPS:\n#[server]\n#public_url = \"https://keys.example.com\"\n#trusted_proxies = [\"127.0.0.1/32\"]\n".into(),
    };
    format!(
        "# Settings of Keyrack. All there are, and what they mean: keyrack config explain\n\
         # Where it listens is said in keyrack.socket: sudo systemctl edit keyrack.socket\n\n{own}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_tells_what_goes_and_what_comes() {
        assert_eq!(difference("a\nb\nc\n", "a\nB\nB2\nc\n"), "    - b\n    + B\n    + B2");
        assert_eq!(difference("a\na\n", "a\n"), "    - a");
        assert_eq!(difference("", "a\n"), "    + a");
    }

    #[test]
    fn the_socket_unit_says_where_to_listen_in_one_place() {
        let public = socket(None, true);
        assert!(public.contains("\nListenStream=443\nListenStream=80\n") && !public.contains("\nListenStream=127"), "{public}");
        let own = socket(Some("10.0.0.1:9000".parse().expect("an address")), false);
        assert!(own.contains("\nListenStream=10.0.0.1:9000\n") && !own.contains("8080"), "{own}");
    }

    #[test]
    fn the_settings_to_begin_with_can_be_read() {
        let domain = Domain::parse("keys.example.com").expect("a name");
        for text in [settings(None), settings(Some(&domain))] {
            let file = crate::config::ConfigFile { name: SETTINGS.into(), text };
            crate::config::load(&crate::config::Inputs { file: Some(file), ..Default::default() }).expect("it loads");
        }
    }
}
