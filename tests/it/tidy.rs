//! The invariants of the house (docs/ARCHITECTURE.md): who may name whom, and what every file has.

use std::path::{Path, PathBuf};

const MODEL: &[&str] = &["model"];
const WITH_LEAVES: &[&str] = &["model", "crypto", "limits", "store", "tls"];
const WITH_CONFIG: &[&str] = &["model", "crypto", "limits", "store", "tls", "config"];
const WITH_APP: &[&str] = &["model", "crypto", "limits", "store", "tls", "config", "app"];

/// What each module may name besides itself. `http` is missing the store on purpose: every read and write goes through
/// a service.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("crypto", MODEL),
    ("limits", MODEL),
    ("store", &["model", "crypto"]),
    ("tls", &["model", "crypto"]),
    ("config", WITH_LEAVES),
    ("app", WITH_CONFIG),
    ("services", WITH_APP),
    ("http", &["model", "crypto", "limits", "tls", "config", "app", "services"]),
    ("cli", &["model", "crypto", "limits", "store", "tls", "config", "app", "services", "http"]),
    ("main", &["cli"]),
];

struct File {
    /// From the package's root, with `/`.
    path: String,
    text: String,
}

impl File {
    /// Its lines that are no comments, from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(n, line)| (n + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// The part of the file that is in the program: its unit tests come last.
    fn shipped(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().take_while(|(_, line)| *line != "#[cfg(test)]")
    }

    /// `store` for `src/store/users.rs`.
    fn module(&self) -> &str {
        let inner = self.path.strip_prefix("src/").expect("a file of src");
        inner.split_once('/').map_or_else(|| inner.trim_end_matches(".rs"), |(module, _)| module)
    }

    fn is_tests(&self) -> bool {
        self.path.ends_with("/tests.rs") || !self.path.starts_with("src/")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(dir: &str, ending: &str) -> Vec<File> {
    fn walk(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(dir) else { return };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "node_modules") {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(dir), ending, &mut found);
    found.sort();
    let name = |path: &Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
    found.into_iter().map(|path| File { path: name(&path), text: std::fs::read_to_string(&path).expect("a text") }).collect()
}

fn sources() -> Vec<File> {
    let files = files("src", ".rs");
    assert!(files.len() > 20, "the sources are where they are looked for");
    files
}

fn rust_files() -> Vec<File> {
    sources().into_iter().chain(files("tests", ".rs")).chain(files("benches", ".rs")).collect()
}

/// Whether a line names `word` as a whole word.
fn names(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_part) && !line[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The modules that a file names by `crate::` or `keyrack::`, alone or in a list, each with its line.
fn named(file: &File) -> Vec<(usize, String)> {
    let (lines, code): (Vec<usize>, Vec<&str>) = file.shipped().unzip();
    let code = code.join("\n");
    let mut found = Vec::new();
    for root in ["crate::", "keyrack::"] {
        for (at, _) in code.match_indices(root) {
            let line = lines[code[..at].matches('\n').count()];
            let after = &code[at + root.len()..];
            let firsts = after.strip_prefix('{').map_or_else(|| vec![after], entries);
            let word = |text: &str| text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned();
            found.extend(firsts.into_iter().map(|entry| (line, word(entry))));
        }
    }
    found
}

/// The entries of a `use` list, whose text follows its opening brace.
fn entries(list: &str) -> Vec<&str> {
    let (mut depth, mut begins, mut found) = (1, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && c == ',' {
            found.push(list[begins..at].trim());
            begins = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|entry| !entry.is_empty());
    found
}

#[test]
fn names_in_lists_are_found_too() {
    let file = |text: &str| File { path: "src/x.rs".into(), text: text.into() };
    let found = |text: &str| named(&file(text)).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(found("use crate::store::users;"), ["store"]);
    assert_eq!(found("use crate::{app::App, http::{a, b}, model};"), ["app", "http", "model"]);
    assert_eq!(found("use crate::{\n    app::App,\n    http::{\n        a,\n    },\n    model,\n};"), ["app", "http", "model"]);
    assert_eq!(found("let x = crate::store::y(crate::model::z); // fine"), ["store", "model"]);
    assert_eq!(found("// crate::store"), [""; 0]);
}

#[test]
fn modules_name_only_what_stands_above_them() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| file.path != "src/lib.rs" && !file.is_tests()) {
        let allowed = MAY_NAME.iter().find(|(module, _)| *module == file.module());
        let (module, allowed) = allowed.unwrap_or_else(|| panic!("say in tidy.rs what {} may name", file.module()));
        for (line, name) in named(file) {
            let is_module = MAY_NAME.iter().any(|(module, _)| *module == name);
            if is_module && name != *module && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}:{line} names {name}", file.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_error_is_logged_with_what_lies_behind_it() {
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !file.is_tests()) {
        let lines = file.code().filter(|(_, line)| ["warn!(", "error!("].iter().any(|level| line.contains(level)));
        let bare = lines
            .filter(|(_, line)| ["error = %", "error = ?", "error = &", "error = err"].iter().any(|bare| line.contains(bare)));
        wrong.extend(bare.map(|(line, _)| format!("{}:{line}", file.path)));
    }
    assert!(wrong.is_empty(), "what clients are told of a fault says nothing in a log; in_full tells all: {wrong:#?}");
}

/// Where a crate may be named.
fn is_named_only_in(krate: &str, places: &[&str]) {
    let named = |file: &&File| file.code().any(|(_, line)| names(line, krate));
    let elsewhere: Vec<String> = sources()
        .iter()
        .filter(|file| !places.iter().any(|place| file.path.starts_with(place)))
        .filter(named)
        .map(|file| file.path.clone())
        .collect();
    assert!(elsewhere.is_empty(), "{krate} is named in {elsewhere:?}");
}

#[test]
fn sql_is_in_the_store_alone() {
    is_named_only_in("rusqlite", &["src/store/"]);
    is_named_only_in("r2d2", &["src/store/"]);
    is_named_only_in("r2d2_sqlite", &["src/store/"]);
}

#[test]
fn the_web_framework_is_in_http_and_its_start_alone() {
    is_named_only_in("actix_web", &["src/http/", "src/cli/serve.rs"]);
    is_named_only_in("actix_files", &["src/http/"]);
    is_named_only_in("askama", &["src/http/"]);
}

#[test]
fn start_up_failures_alone_are_anyhow() {
    is_named_only_in("anyhow", &["src/cli/", "src/main.rs"]);
}

#[test]
fn the_environment_is_read_by_the_command_line_alone() {
    for file in sources().iter().filter(|file| !["cli", "main"].contains(&file.module())) {
        for (line, code) in file.shipped() {
            let reads = ["env::", "std::env", "env!(\"KEYRACK"].iter().any(|word| code.contains(word));
            assert!(!reads || code.contains("env!(\"CARGO"), "{}:{line} reads the environment", file.path);
        }
    }
}

#[test]
fn there_are_no_globals_that_change() {
    // The language of an answer belongs to the answer's task, and a catalogue is read once from the program itself.
    const NONE: &[&str] = &["src/http/words/mod.rs", "src/http/words/catalogue.rs"];
    for file in sources().iter().filter(|file| !NONE.contains(&file.path.as_str())) {
        for (line, code) in file.shipped() {
            let is_global = code.trim_start().starts_with("static ") || code.trim_start().starts_with("pub static ");
            assert!(!is_global, "{}:{line} is a global: {code}", file.path);
        }
    }
}

#[test]
fn the_surfaces_do_not_name_one_another() {
    // The documentation is no surface of its own: it tells of the others, and is made from what they are made from.
    const SURFACES: &[&str] = &["api", "oauth", "pages"];
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| file.module() == "http") {
        let inner = file.path.trim_start_matches("src/http/");
        let Some(own) = SURFACES.iter().find(|surface| inner.starts_with(&format!("{surface}/"))) else { continue };
        for (line, code) in file.shipped() {
            for other in SURFACES.iter().filter(|other| *other != own) {
                let paths = [format!("http::{other}::"), format!("super::{other}::"), format!("http::{{{other}")];
                if paths.iter().any(|path| code.contains(path.as_str())) && !EXCEPTIONS.contains(&(&file.path, other)) {
                    wrong.push(format!("{}:{line} names {other}", file.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A surface that names another all the same: file and surface. This list may only shrink.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Shows what clients get, made by the code that answers them.
    ("src/http/pages/conventions.rs", "api"),
];

#[test]
fn nobody_but_admission_and_its_folder_asks_which_dialect_is_on() {
    const PLACES: &[&str] = &[
        "src/http/api/dialect/",
        "src/http/api/admission.rs",
        "src/http/api/mod.rs",
        "src/http/api/reply.rs",
        // Stores which one it shall be.
        "src/services/settings.rs",
        "src/model/dialect.rs",
        "src/config/",
        "src/app/",
        "src/cli/",
        "src/http/pages/",
        // Which conventions the documentation speaks of.
        "src/http/api/reference/",
        "src/http/docs/",
    ];
    for file in sources().iter().filter(|file| !PLACES.iter().any(|place| file.path.starts_with(place))) {
        for (line, code) in file.shipped() {
            let asks = ["DialectName::", "Dialect::of", "config.api.dialect =="].iter().any(|word| code.contains(word));
            assert!(!asks, "{}:{line} asks which dialect is on", file.path);
        }
    }
}

#[test]
fn nothing_is_decided_by_the_path_as_it_was_written() {
    // The router reads `/%61dmin` as `/admin`; `path_of` does so too. To show or log what was sent is no decision.
    // Written otherwise, a path at the root is not read as one below `/v1`, and is 404.
    const SHOWN: &[&str] = &["src/http/mod.rs", "src/http/api/reply.rs", "src/http/api/mod.rs"];
    for file in sources().iter().filter(|file| !SHOWN.contains(&file.path.as_str())) {
        for (line, code) in file.shipped() {
            assert!(!code.contains("req.path()") && !code.contains("uri().path()"), "{}:{line} uses the raw path", file.path);
        }
    }
}

#[test]
fn every_file_says_what_it_owns() {
    for file in rust_files() {
        let first = file.text.lines().next().unwrap_or_default();
        assert!(first.starts_with("//! "), "{} begins with {first:?}", file.path);
    }
}

#[test]
fn no_test_is_switched_off() {
    let (ignore, only_in_ci) = (concat!("#[", "ignore"), concat!("env::var(\"", "CI\""));
    for file in rust_files() {
        assert!(!file.text.contains(ignore) && !file.text.contains(only_in_ci), "{} switches a test off", file.path);
    }
}

#[test]
fn every_test_file_is_compiled() {
    let main = std::fs::read_to_string(root().join("tests/it/main.rs")).expect("the list");
    for file in files("tests/it", ".rs") {
        let name = file.path.trim_start_matches("tests/it/");
        let module = name.split_once('/').map_or_else(|| name.trim_end_matches(".rs"), |(dir, _)| dir);
        assert!(name == "main.rs" || main.contains(&format!("mod {module};")), "{} is not in main.rs", file.path);
    }
}

#[test]
fn nothing_is_left_to_do_in_comments() {
    for file in rust_files().iter().filter(|file| file.path != "tests/it/tidy.rs") {
        for (n, line) in file.text.lines().enumerate() {
            let note = ["TODO", "FIXME", "XXX:", "HACK"].iter().find(|note| names(line, note));
            assert!(note.is_none(), "{}:{} has a {}", file.path, n + 1, note.expect("one"));
        }
    }
}

#[test]
fn every_path_that_the_architecture_names_exists() {
    let file = root().join("docs/ARCHITECTURE.md");
    if !file.exists() {
        return;
    }
    let text = std::fs::read_to_string(file).expect("a text");
    const ROOTS: &[&str] = &["src/", "tests/", "templates/", "static/", "docs/", "benches/", "packaging/"];
    let mut missing = Vec::new();
    for word in text.split(|c: char| c.is_whitespace() || "`()[]<>|,;\"'*".contains(c)) {
        let path = word.trim_end_matches(['.', ':']).split('#').next().unwrap_or_default();
        let path = path.strip_prefix("../").unwrap_or(path);
        if !ROOTS.iter().any(|root| path.starts_with(root)) || path.contains(['…', '<', '?']) {
            continue;
        }
        // `src/model/{user,session}.rs`
        let paths = match (path.find('{'), path.find('}')) {
            (Some(open), Some(close)) => {
                path[open + 1..close].split(',').map(|name| format!("{}{name}{}", &path[..open], &path[close + 1..])).collect()
            }
            _ => vec![path.to_owned()],
        };
        missing.extend(paths.into_iter().filter(|path| !root().join(path).exists()));
    }
    assert!(missing.is_empty(), "docs/ARCHITECTURE.md names {missing:?}");
}

#[test]
fn templates_escape_everything_and_carry_no_script_or_style() {
    for file in files("templates", ".html").iter().chain(&files("templates", ".txt")) {
        for (n, line) in file.text.lines().enumerate() {
            let lower = line.to_lowercase();
            let place = format!("{}:{}: {line}", file.path, n + 1);
            assert!(!lower.contains("|safe") && !lower.contains("| safe") && !lower.contains("escape \"none\""), "{place}");
            assert!(!lower.contains(" style=") && !lower.contains("<style") && !lower.contains("javascript:"), "{place}");
            let script = lower.find("<script").map(|at| &lower[at..]);
            assert!(script.is_none_or(|script| script.contains(" src=")), "an inline script: {place}");
            let handler = lower.split_whitespace().find(|word| {
                word.strip_prefix("on")
                    .and_then(|rest| rest.split_once('='))
                    .is_some_and(|(event, _)| !event.is_empty() && event.bytes().all(|b| b.is_ascii_lowercase()))
            });
            assert!(handler.is_none(), "an inline handler: {place}");
        }
    }
}
