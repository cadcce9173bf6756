//! The second factor: set up, asked for at the sign-in, required of administrators, recovered from and removed.

use keyrack::crypto::totp::Seed;
use keyrack::model::audit_event::AuditFilter;
use keyrack::model::caller::Caller;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::user::{Role, User};
use keyrack::services;
use reqwest::Method;

use crate::sessions::{Browser, PASSWORD, signed_in, with_password};
use crate::support::{HOUR, MINUTE, Reply, SECOND, TestServer};

const STEP: std::time::Duration = std::time::Duration::from_secs(30);

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("{from} in {text}")).1;
    rest.split_once(to).expect("an end").0
}

async fn post(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Reply {
    let page = browser.get("/settings/security").await.expect(200).text;
    let token = between(&page, "name=\"csrf\" value=\"", "\"").to_owned();
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("csrf", &token).extend_pairs(fields);
    browser.send(Method::POST, path, Some(form.finish())).await
}

/// Their app, and their recovery codes.
struct Factor {
    seed: Seed,
    codes: Vec<String>,
}

impl Factor {
    fn code(&self, server: &TestServer) -> String {
        self.seed.code_at(server.clock.now().seconds())
    }

    async fn set_up(server: &TestServer, browser: &mut Browser) -> Self {
        let shown = post(browser, "/settings/security/second-factor", &[]).await.expect(200);
        let seed = Seed::parse(between(&shown.text, "name=\"seed\" value=\"", "\"")).expect("a seed");
        let code = seed.code_at(server.clock.now().seconds());
        let done = browser.send_on(&shown.text, &[("code", &code)]).await.expect(200);
        let codes = between(&done.text, "name=\"codes\" value=\"", "\"").split(' ').map(str::to_owned).collect();
        Self { seed, codes }
    }
}

/// Somebody with a second factor, signed in.
async fn with_factor(server: &TestServer, role: Role) -> (Browser, User, Factor) {
    let (mut browser, user) = signed_in(server, role).await;
    let factor = Factor::set_up(server, &mut browser).await;
    server.advance(STEP * 2);
    (browser, user, factor)
}

/// A fresh browser that knows the password.
async fn half(server: &TestServer, user: &User) -> Browser {
    let mut browser = Browser::new(server);
    let reply = browser.sign_in(&user.email, PASSWORD).await.expect(303);
    assert_eq!(reply.header("location"), "/sign-in/code");
    assert!(!browser.cookies.contains_key("sid") && !browser.is_signed_in().await);
    browser
}

async fn enter(browser: &mut Browser, code: &str) -> Reply {
    browser.submit("/sign-in/code", &[("code", code)]).await
}

#[tokio::test]
async fn with_a_second_factor_the_password_alone_opens_nothing() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    let mut browser = half(&server, &user).await;
    enter(&mut browser, "000000").await.expect(400);
    let spaced = factor.code(&server);
    enter(&mut browser, &format!(" {} {} ", &spaced[..3], &spaced[3..])).await.expect(303);
    assert!(browser.is_signed_in().await);
}

#[tokio::test]
async fn after_both_steps_one_is_where_one_wanted_to_go() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Admin).await;
    let mut browser = Browser::new(&server);
    let fields = [("email", user.email.as_str()), ("password", PASSWORD), ("next", "/admin/users?q=a")];
    let half = browser.submit("/sign-in", &fields).await.expect(303);
    let page = browser.get(half.header("location")).await.expect(200);
    let done = browser.send_on(&page.text, &[("code", &factor.code(&server))]).await.expect(303);
    assert_eq!(done.header("location"), "/admin/users?q=a");
}

#[tokio::test]
async fn a_code_is_good_once() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    let code = factor.code(&server);
    enter(&mut half(&server, &user).await, &code).await.expect(303);
    let mut again = half(&server, &user).await;
    enter(&mut again, &code).await.expect(400);
    server.advance(STEP);
    enter(&mut again, &factor.code(&server)).await.expect(303);
}

#[tokio::test]
async fn of_two_who_use_a_code_at_once_one_gets_in() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    let code = factor.code(&server);
    let (mut one, mut other) = (half(&server, &user).await, half(&server, &user).await);
    let (one, other) = futures_util::future::join(enter(&mut one, &code), enter(&mut other, &code)).await;
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400]);
}

#[tokio::test]
async fn after_five_wrong_codes_it_begins_with_the_password_again() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    let mut browser = half(&server, &user).await;
    let page = browser.get("/sign-in/code").await.text;
    for _ in 0..5 {
        browser.send_on(&page, &[("code", "000000")]).await.expect(400);
    }
    server.advance(2 * MINUTE);
    let over = browser.send_on(&page, &[("code", &factor.code(&server))]).await.expect(400);
    assert!(over.text.contains("Begin again with your password.") && !browser.is_signed_in().await);
    assert_eq!(browser.get("/sign-in/code").await.expect(303).header("location"), "/sign-in");
}

#[tokio::test]
async fn the_second_step_waits_ten_minutes() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    let mut browser = half(&server, &user).await;
    let page = browser.get("/sign-in/code").await.text;
    server.advance(10 * MINUTE);
    browser.send_on(&page, &[("code", &factor.code(&server))]).await.expect(400);
    assert!(!browser.is_signed_in().await);
}

#[tokio::test]
async fn a_recovery_code_lets_in_once() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    assert_eq!(factor.codes.len(), 10);
    let typed = factor.codes[3].to_lowercase().replace('-', " ");
    let mut browser = half(&server, &user).await;
    browser.get("/sign-in/code?with=recovery").await.expect(200);
    enter(&mut browser, &typed).await.expect(303);
    assert!(browser.get("/settings/security").await.text.contains("9 recovery codes are left"));
    let mut again = half(&server, &user).await;
    enter(&mut again, &typed).await.expect(400);
    enter(&mut again, &factor.codes[4]).await.expect(303);
}

#[tokio::test]
async fn nobody_uses_a_recovery_code_of_somebody_else() {
    let server = TestServer::start().await;
    let (_, user, _) = with_factor(&server, Role::Member).await;
    let (_, _, other) = with_factor(&server, Role::Member).await;
    enter(&mut half(&server, &user).await, &other.codes[0]).await.expect(400);
}

#[tokio::test]
async fn new_recovery_codes_end_those_before() {
    let server = TestServer::start().await;
    let (mut browser, user, factor) = with_factor(&server, Role::Member).await;
    let shown = post(&mut browser, "/settings/security/recovery-codes", &[]).await.expect(200).text;
    let new = between(&shown, "name=\"codes\" value=\"", "\"").split(' ').next().expect("a code").to_owned();
    let file = browser.send_on(&shown, &[]).await.expect(200);
    assert!(file.header("content-disposition").contains("recovery-codes.txt") && file.text.contains(&new));
    enter(&mut half(&server, &user).await, &factor.codes[0]).await.expect(400);
    enter(&mut half(&server, &user).await, &new).await.expect(303);
}

#[tokio::test]
async fn neither_seed_nor_codes_are_in_any_file() {
    let server = TestServer::start().await;
    let (_, _, factor) = with_factor(&server, Role::Member).await;
    let secrets = [factor.seed.as_bytes().to_vec(), factor.seed.to_text().into_bytes(), factor.codes[0].clone().into_bytes()];
    for entry in std::fs::read_dir(server.data()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let bytes = if path.is_file() { std::fs::read(&path).expect("read") } else { continue };
        for secret in &secrets {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn setting_one_up_takes_a_code_of_it_and_ends_every_other_session() {
    let server = TestServer::start().await;
    let (mut here, user) = signed_in(&server, Role::Member).await;
    let mut there = Browser::new(&server);
    there.sign_in(&user.email, PASSWORD).await.expect(303);
    let before = here.cookies["sid"].clone();
    let shown = post(&mut here, "/settings/security/second-factor", &[]).await.expect(200);
    let wrong = here.send_on(&shown.text, &[("code", "000000")]).await.expect(400);
    assert_eq!(
        between(&wrong.text, "name=\"seed\" value=\"", "\""),
        between(&shown.text, "name=\"seed\" value=\"", "\""),
        "the picture that was scanned stays good"
    );
    assert!(there.is_signed_in().await);
    Factor::set_up(&server, &mut here).await;
    assert!(here.is_signed_in().await && !there.is_signed_in().await);
    assert_ne!(here.cookies["sid"], before);
}

#[tokio::test]
async fn it_is_changed_by_those_alone_who_proved_lately_who_they_are() {
    let server = TestServer::start().await;
    let (mut browser, user, _) = with_factor(&server, Role::Member).await;
    server.advance(20 * MINUTE);
    for path in ["second-factor", "second-factor/confirm", "second-factor/remove", "recovery-codes"] {
        let asked = post(&mut browser, &format!("/settings/security/{path}"), &[]).await.expect(200);
        assert!(asked.text.contains("Confirm that it is you"), "{path}");
    }
    half(&server, &user).await;
    let asked = post(&mut browser, "/settings/security/second-factor/remove", &[]).await;
    browser.send_on(&asked.text, &[("again_password", PASSWORD)]).await.expect(303);
    Browser::new(&server).sign_in(&user.email, PASSWORD).await.expect(303);
    assert!(browser.get("/settings/security").await.text.contains("your password alone opens nothing"));
}

#[tokio::test]
async fn an_administrator_without_one_sets_it_up_first_where_it_is_required() {
    let server = TestServer::start().await;
    let (mut admin, _) = signed_in(&server, Role::Admin).await;
    let (mut member, _) = signed_in(&server, Role::Member).await;
    let page = admin.get("/admin/settings/security").await.expect(200);
    assert!(page.text.contains("Without a second factor: "));
    admin.send_on(&page.text, &[("require", "admins")]).await.expect(303);
    for path in ["/admin", "/admin/users", "/settings", "/settings/api-keys"] {
        assert_eq!(admin.get(path).await.expect(303).header("location"), "/settings/security?done=factor-needed", "{path}");
    }
    member.get("/settings").await.expect(200);
    let led = admin.get("/settings/security?done=factor-needed").await.expect(200).text;
    assert!(led.contains("Administrators of this server need one before anything else."));
    Factor::set_up(&server, &mut admin).await;
    admin.get("/admin").await.expect(200);
    let refused = post(&mut admin, "/settings/security/second-factor/remove", &[]).await.expect(400);
    assert!(refused.text.contains("so the last one stays"));
}

#[tokio::test]
async fn the_rule_holds_after_a_restart() {
    let server = TestServer::start().await;
    let (_, admin) = signed_in(&server, Role::Admin).await;
    services::settings::require_second_factor(&server.app, &Caller::command_line(), true).await.expect("required");
    let server = server.restart().await;
    let browser = server.browser(&admin).await;
    assert_eq!(browser.get("/admin").await.expect(303).header("location"), "/settings/security?done=factor-needed");
}

#[tokio::test]
async fn whoever_runs_the_server_takes_a_lost_one_away() {
    let server = TestServer::start().await;
    let (mut browser, user, _) = with_factor(&server, Role::Admin).await;
    let mut waiting = half(&server, &user).await;
    let user = services::users::find(&server.app, &Caller::command_line(), user.id).await.expect("there");
    assert!(user.has_second_factor);
    services::second_factor::disable(&server.app, &Caller::command_line(), &user).await.expect("disabled");
    assert!(!browser.is_signed_in().await);
    assert_eq!(waiting.get("/sign-in/code").await.expect(303).header("location"), "/sign-in");
    let mut again = Browser::new(&server);
    again.sign_in(&user.email, PASSWORD).await.expect(303);
    assert!(again.is_signed_in().await);
    let filter = AuditFilter { action: Some("second_factor.removed".into()), ..AuditFilter::default() };
    let place = (Start::Offset(0), Order::NewestFirst, Limit::of(10));
    let told = services::audit::list(&server.app, &Caller::command_line(), filter, place).await.expect("events").rows;
    assert_eq!((told[0].actor.kind.as_str(), told[0].target.id.as_str()), ("command_line", user.id.to_string().as_str()));
}

#[tokio::test]
async fn codes_are_guessed_five_times_a_minute_however_often_the_password_is_given() {
    let server = TestServer::start().await;
    let (_, user, factor) = with_factor(&server, Role::Member).await;
    for _ in 0..5 {
        enter(&mut half(&server, &user).await, "000000").await.expect(400);
    }
    let refused = enter(&mut half(&server, &user).await, &factor.code(&server)).await.expect(429);
    assert!((1..=60).contains(&refused.number("retry-after")));
    server.advance(MINUTE + SECOND);
    enter(&mut half(&server, &user).await, &factor.code(&server)).await.expect(303);
    let other = with_password(&server, Role::Member).await;
    server.advance(HOUR);
    Browser::new(&server).sign_in(&other.email, PASSWORD).await.expect(303);
}
