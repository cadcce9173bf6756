//! No dead link: in the files of the project, and in the pages that a running server shows of its documentation.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use keyrack::http::api::operations::{API_KEYS_PATH, OAUTH, OPERATIONS};

use crate::support::TestServer;

/// What a page may weigh as it comes over the wire: 60 KB with all that it loads (the text alone here, before it is packed).
const MOST_BYTES: usize = 60 * 1024;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The texts that people read, by their path from the root.
fn documents() -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = ["README.md", "CHANGELOG.md"].map(PathBuf::from).into();
    for dir in ["docs", "docs/decisions"] {
        let entries = std::fs::read_dir(root().join(dir)).expect("a directory");
        paths.extend(entries.map(|entry| Path::new(dir).join(entry.expect("an entry").file_name())));
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(root().join(&path)).expect("a text"))).collect()
}

/// A text without its blocks of code.
fn prose(markdown: &str) -> String {
    let mut is_code = false;
    let keeps = |line: &&str| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    };
    markdown.lines().filter(keeps).collect::<Vec<_>>().join("\n")
}

/// What is between `before` and the next of `ends`, each time.
fn each_between<'a>(text: &'a str, before: &str, ends: &[char]) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split(ends).next()).collect()
}

/// As GitHub makes anchors of headings.
fn anchors(markdown: &str) -> BTreeSet<String> {
    let headings = prose(markdown);
    let headings = headings.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |words: &str| {
        let kept = words.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
    };
    headings.map(slug).collect()
}

#[test]
fn no_file_of_the_project_leads_nowhere() {
    let mut seen = 0;
    for (path, text) in documents() {
        let text = prose(&text);
        let mut targets = each_between(&text, "](", &[')', ' ']);
        targets.extend(each_between(&text, "src=\"", &['"']));
        targets.extend(each_between(&text, "srcset=\"", &['"', ' ']));
        for target in targets.into_iter().filter(|target| !target.starts_with("http") && !target.starts_with("mailto:")) {
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let there = if file.is_empty() { path.clone() } else { path.parent().expect("a directory").join(file) };
            // A path of the server, which the other test follows.
            if file.starts_with('/') {
                continue;
            }
            assert!(root().join(&there).exists(), "{} leads to {target}, which is not there", path.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(root().join(&there)).expect("a text");
                assert!(anchors(&text).contains(anchor), "{} leads to {target}, which has no such heading", path.display());
            }
        }
    }
    assert!(seen > 5, "{seen} links");
}

#[test]
fn no_file_of_the_project_names_a_path_or_a_target_that_is_not_there() {
    const DIRS: &[&str] = &["src/", "tests/", "docs/", "templates/", "packaging/", "benches/", "static/"];
    let makefile = std::fs::read_to_string(root().join("Makefile")).expect("a Makefile");
    let (mut paths, mut targets) = (0, 0);
    for (path, text) in documents() {
        for named in each_between(&text, "`", &['`', ' ', ',', ':', '#', ')']) {
            let is_path = DIRS.iter().any(|dir| named.starts_with(dir)) && !named.contains(['<', '*', '{', '…', '\n']);
            if is_path {
                paths += 1;
                assert!(root().join(named).exists(), "{} names {named}, which is not there", path.display());
            }
        }
        for line in text.lines() {
            for named in each_between(line, "`make ", &['`', ' ']) {
                targets += 1;
                assert!(makefile.contains(&format!("\n{named}:")), "{} names `make {named}`, which is no target", path.display());
            }
        }
    }
    assert!(paths > 10 && targets > 5, "{paths} paths, {targets} targets");
}

#[test]
fn the_list_of_requests_is_that_of_the_program() {
    let text = std::fs::read_to_string(root().join("docs/API.md")).expect("a text");
    let rows = || OPERATIONS.iter().chain(OAUTH).chain(API_KEYS_PATH);
    for operation in rows() {
        let row = format!("| `{} {}` | {} |", operation.method, operation.path, operation.words);
        assert!(text.contains(&row), "docs/API.md lacks {row}");
    }
    let listed = text.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(listed, rows().count(), "docs/API.md has rows of what is gone");
}

/// The addresses in the attributes of a page, and how each is used.
fn attributes(html: &str, name: &str) -> Vec<String> {
    let given = each_between(html, &format!(" {name}=\""), &['"']);
    given.into_iter().map(|value| value.replace("&amp;", "&").replace("&#38;", "&")).collect()
}

#[tokio::test]
async fn no_link_and_no_anchor_of_the_documentation_that_a_server_shows_is_dead() {
    let server = TestServer::start().await;
    let (client, base) = (server.anonymous(), format!("http://{}", server.addr));
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    let mut to_read = VecDeque::from(["/docs".to_owned()]);
    let mut led_to: Vec<(String, String)> = Vec::new();
    while let Some(path) = to_read.pop_front() {
        if pages.contains_key(&path) {
            continue;
        }
        let html = client.get(&path).await.expect(200).text;
        for href in attributes(&html, "href") {
            let ours = href.strip_prefix(&base).unwrap_or(&href);
            if !ours.starts_with(['/', '#']) {
                assert!(ours.starts_with("https://"), "{path} leads to {href}");
                continue;
            }
            let (target, anchor) = ours.split_once('#').unwrap_or((ours, ""));
            let target = if target.is_empty() { &path } else { target };
            led_to.push((path.clone(), if anchor.is_empty() { target.to_owned() } else { format!("{target}#{anchor}") }));
            if (target == "/docs" || target.starts_with("/docs/")) && !target.ends_with(".md") {
                to_read.push_back(target.to_owned());
            }
        }
        pages.insert(path, html);
    }
    assert!(pages.len() > 90, "{}", pages.len());
    let mut answered: BTreeMap<String, u16> = BTreeMap::new();
    for (from, target) in &led_to {
        let (target, anchor) = target.split_once('#').unwrap_or((target, ""));
        if let Some(html) = pages.get(target) {
            assert!(anchor.is_empty() || html.contains(&format!(" id=\"{anchor}\"")), "{from} leads to {target}#{anchor}");
            continue;
        }
        if !answered.contains_key(target) {
            answered.insert(target.to_owned(), client.get(target).await.status);
        }
        // 303: sign in first.
        assert!([200, 303].contains(&answered[target]), "{from} leads to {target}: {}", answered[target]);
    }
    let listed = client.get("/llms.txt").await.expect(200).text;
    for path in each_between(&listed, &format!("]({base}"), &[')']) {
        let page = path.trim_end_matches("/index.md").trim_end_matches(".md");
        assert!(!page.starts_with("/docs") || pages.contains_key(page), "nothing leads to {page}, which llms.txt lists");
    }
}

#[tokio::test]
async fn a_page_of_the_documentation_is_small_and_loads_nothing_from_elsewhere() {
    let server = TestServer::start().await;
    let client = server.anonymous();
    let base = format!("http://{}", server.addr);
    let listed = client.get("/llms.txt").await.expect(200).text;
    let mut checked = 0;
    for path in each_between(&listed, &format!("]({base}"), &[')']).into_iter().filter(|path| path.ends_with(".md")) {
        let page = client.get(path.trim_end_matches("/index.md").trim_end_matches(".md")).await.expect(200);
        assert!(page.text.len() <= MOST_BYTES, "{path}: {} bytes", page.text.len());
        let links = page.text.split("<link ").skip(1).filter_map(|rest| rest.split('>').next());
        let loaded: Vec<String> = links.flat_map(|link| attributes(&format!(" {link}"), "href")).collect();
        for address in loaded.into_iter().chain(attributes(&page.text, "src")) {
            assert!(address.starts_with('/') && !address.starts_with("//"), "{path} loads {address}");
        }
        let mut ids = attributes(&page.text, "id");
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{path} has an id twice");
        // Whatever a page has in it, a browser is told to load nothing else.
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{path}: {policy}");
        checked += 1;
    }
    assert!(checked > 90, "{checked}");
}
