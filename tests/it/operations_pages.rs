//! Settings > Backup and Settings > Network, and what the overview says of both.

use keyrack::config::PublicUrl;
use keyrack::model::caller::Caller;
use keyrack::model::user::Role;
use keyrack::services::backups;
use sha2::{Digest, Sha256};

use crate::support::{Client, DAY, HOUR, MINUTE, TestServer};

const BACKUP: &str = "/admin/settings/backup";

async fn admin(server: &TestServer) -> Client {
    let account = server.account("Operators").await;
    let user = server.user_in(account, Role::Admin).await;
    server.browser(&user).await
}

#[tokio::test]
async fn a_backup_is_made_checked_and_taken_away_on_its_page() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    assert!(browser.get(BACKUP).await.expect(200).text.contains("None in this directory yet."));
    let made = browser.submit(BACKUP, BACKUP, &[]).await.expect(303);
    assert_eq!(made.header("location"), "/admin/settings/backup?done=backed-up");
    let page = browser.get(BACKUP).await.expect(200).text;
    let name = "keyrack-20261122T100000Z.db";
    assert!(page.contains(name) && page.contains("less than a minute ago") && page.contains("1 user, 0 keys"), "{page}");
    let verified = browser.submit(BACKUP, &format!("{BACKUP}/{name}/verify"), &[]).await.expect(303);
    assert_eq!(verified.header("location"), "/admin/settings/backup?done=whole");

    let file = browser.submit(BACKUP, &format!("{BACKUP}/{name}/download"), &[]).await;
    assert_eq!(file.status, 200);
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"{name}\""));
    assert_eq!((file.header("cache-control"), file.header("content-type")), ("no-store", "application/octet-stream"));
    let on_disk = std::fs::read(server.data().join("backups").join(name)).expect("read");
    assert_eq!(file.header("content-length"), on_disk.len().to_string());
}

#[tokio::test]
async fn what_is_taken_away_is_the_file_of_the_manifest() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    browser.submit(BACKUP, BACKUP, &[]).await.expect(303);
    let name = "keyrack-20261122T100000Z.db";
    let token = browser.get(BACKUP).await.token();
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("csrf", &token).finish();
    let browser = browser.header("Sec-Fetch-Site", "same-origin").header("Content-Type", "application/x-www-form-urlencoded");
    let browser = browser.header("Accept-Encoding", "gzip");
    let answer = browser.begin(reqwest::Method::POST, &format!("{BACKUP}/{name}/download"), Some(form)).await;
    let bytes = answer.bytes().await.expect("a body");
    let manifest = server.data().join("backups").join(format!("{name}.json"));
    let manifest: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(manifest).expect("read")).expect("json");
    assert_eq!(manifest["sha256"], data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)));
}

#[tokio::test]
async fn taking_a_backup_away_asks_again_who_one_is_and_names_of_other_files_are_not_found() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    browser.submit(BACKUP, BACKUP, &[]).await.expect(303);
    for name in ["..%2Fkeyrack.db", "keyrack.db", "keyrack-20261122T100000Z.db.json", "..%2F..%2Fetc%2Fpasswd"] {
        assert_eq!(browser.submit(BACKUP, &format!("{BACKUP}/{name}/download"), &[]).await.status, 404, "{name}");
    }
    server.advance(HOUR / 2);
    let asked = browser.submit(BACKUP, &format!("{BACKUP}/keyrack-20261122T100000Z.db/download"), &[]).await;
    assert!(asked.text.contains("Confirm that it is you"), "{}", asked.text);
    assert!(asked.header("content-disposition").is_empty());
}

#[tokio::test]
async fn a_backup_that_is_damaged_is_told_on_the_page() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    browser.submit(BACKUP, BACKUP, &[]).await.expect(303);
    let name = "keyrack-20261122T100000Z.db";
    std::fs::write(server.data().join("backups").join(name), "letters").expect("written");
    let told = browser.submit(BACKUP, &format!("{BACKUP}/{name}/verify"), &[]).await.expect(409);
    assert!(told.text.contains("it is not the file that its manifest tells of"), "{}", told.text);
}

#[tokio::test]
async fn the_overview_counts_the_days_since_the_last_backup() {
    let server = TestServer::start().await;
    let account = server.account("Operators").await;
    let user = server.user_in(account, Role::Admin).await;
    let browser = server.browser(&user).await;
    assert!(
        browser.get("/admin").await.expect(200).text.contains("To do: </span><a href=\"/admin/settings/backup\">Make a backup")
    );
    browser.submit(BACKUP, BACKUP, &[]).await.expect(303);
    assert!(browser.get("/admin").await.expect(200).text.contains("Done: </span>Make a backup"));
    server.advance(12 * DAY);
    let browser = server.browser(&user).await;
    assert!(browser.get("/admin").await.expect(200).text.contains("The last backup is 12 days old"));
}

#[tokio::test]
async fn the_network_page_finds_what_stands_in_the_way() {
    let server = TestServer::with(|config| {
        config.server.public_url = Some(PublicUrl::parse("https://keys.example.com").expect("a url"));
        config.metrics.token = Some(keyrack::config::SecretText::new("0123456789abcdef"));
    })
    .await;
    let browser = admin(&server).await;
    let page = async |browser: &Client| browser.get("/admin/settings/network").await.expect(200).text;
    let here = page(&browser).await;
    assert!(here.contains("<dt>Your address as Keyrack sees it</dt><dd>127.0.0.1</dd>"), "{here}");
    assert!(here.contains("none seen on this request") && !here.contains("Look at it"), "{here}");
    assert!(here.contains("metrics.token = &#34;(not shown)&#34;") && !here.contains("0123456789abcdef"), "{here}");

    let untrusted = page(&browser.header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", "https")).await;
    assert!(untrusted.contains("[server] trusted_proxies = [&#34;127.0.0.1/32&#34;]"), "{untrusted}");

    let server =
        server.restart_with(|config| config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")]).await;
    let proxied = server.anonymous().header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", "https");
    let account = server.account("Operators").await;
    let user = server.user_in(account, Role::Admin).await;
    let token = server.session_token(&user).await;
    let browser = proxied.header("Cookie", &format!("__Host-sid={token}")).header("Accept", "text/html");
    let other = page(&browser.header("Host", "other.example.com")).await;
    assert!(other.contains("203.0.113.7, through 127.0.0.1"), "{other}");
    assert!(other.contains("https://keys.example.com, but this request came to https://other.example.com"), "{other}");
    let right = page(&browser.header("Host", "keys.example.com")).await;
    assert!(right.contains("https://keys.example.com, and this request came to it") && !right.contains("Look at it"), "{right}");
}

#[tokio::test]
async fn a_backup_that_was_put_elsewhere_is_told_apart_from_those_in_the_list() {
    let server = TestServer::start().await;
    let browser = admin(&server).await;
    browser.submit(BACKUP, BACKUP, &[]).await.expect(303);
    assert!(browser.get(BACKUP).await.expect(200).text.contains("<dd class=\"long\">less than a minute ago</dd>"));
    server.advance(10 * MINUTE);
    let elsewhere = Some(server.data().join("elsewhere.db"));
    let by = Caller::command_line();
    backups::create(&server.app, &by, elsewhere, None, backups::quietly()).await.expect("a backup");
    server.advance(MINUTE);
    let page = browser.get(BACKUP).await.expect(200).text;
    assert!(page.contains("1 minute ago, as a file elsewhere; the newest in this directory 11 minutes ago"), "{page}");
    assert!(page.contains("Every day, the last 7 are kept"), "{page}");
}
