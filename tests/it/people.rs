//! The pages of the directory: filters and sorting, many users at once, invitations, sessions, deletion, export.

use keyrack::model::caller::Caller;
use keyrack::model::email::Email;
use keyrack::model::name::Name;
use keyrack::model::password_link::LinkKind;
use keyrack::model::revision::IfMatch;
use keyrack::model::user::{Password, Role, User, UserChanges, UserStatus};
use keyrack::services;
use keyrack::services::password_links::standing;
use reqwest::Method;

use crate::support::{Client, DAY, Reply, TestServer};

const PASSWORD: &str = "securepassword123";

/// An administrator in a browser, and the token of their forms.
struct Admin {
    user: User,
    browser: Client,
    token: String,
}

impl Admin {
    async fn of(server: &TestServer) -> Self {
        let user = server.admin().await.user().clone();
        let browser = server.browser(&user).await.header("Sec-Fetch-Site", "same-origin");
        let token = token_of(&browser.get("/settings").await.expect(200).text);
        Self { user, browser, token }
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        let browser = self.browser.header("Content-Type", "application/x-www-form-urlencoded");
        browser.send(Method::POST, path, Some(format!("csrf={}&{form}", self.token))).await
    }

    async fn page(&self, path: &str) -> String {
        self.browser.get(path).await.expect(200).text
    }
}

fn token_of(page: &str) -> String {
    let rest = page.split_once("name=\"csrf\" value=\"").expect("a form").1;
    rest.split_once('"').expect("a value").0.to_owned()
}

/// The names in the rows of a list.
fn names(page: &str) -> Vec<String> {
    let rows = page.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split_once("\">").expect("a link").1.split_once('<').expect("a name").0.to_owned()).collect()
}

/// The address of a neighbouring page.
fn link_to(page: &str, rel: &str) -> String {
    let link = page.split("<a ").find(|link| link.contains(&format!("rel=\"{rel}\""))).expect("a link");
    link.split_once("href=\"")
        .expect("an address")
        .1
        .split_once('"')
        .expect("its end")
        .0
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

async fn user(server: &TestServer, name: &str, email: &str, role: Role) -> User {
    let account = server.account("Team").await;
    let named = |new: &mut keyrack::model::user::NewUser| {
        new.name = Name::parse(name).expect("a name");
        new.email = Email::parse(email).expect("an address");
    };
    server.user_with(account, role, named).await
}

async fn status_of(server: &TestServer, user: &User) -> UserStatus {
    services::users::find(&server.app, &Caller::command_line(), user.id).await.expect("a user").status
}

/// The link that a page shows, without scheme and host.
fn link_of(page: &str) -> String {
    let rest = page.split_once("id=\"link\" value=\"").expect("a link").1;
    let link = rest.split_once('"').expect("a value").0;
    link[link.find("/invite/").expect("a path")..].to_owned()
}

/// Sends the form behind a link as somebody who has no session yet.
async fn follow(server: &TestServer, link: &str, form: &str) -> Reply {
    let stranger = server.anonymous().header("Accept", "text/html").header("Sec-Fetch-Site", "same-origin");
    let page = stranger.get(link).await.expect(200);
    let cookie = page.header("set-cookie").split(';').next().expect("a cookie").to_owned();
    let stranger = stranger.header("Cookie", &cookie).header("Content-Type", "application/x-www-form-urlencoded");
    stranger.send(Method::POST, link, Some(format!("csrf={}&{form}", token_of(&page.text)))).await
}

#[actix_web::test]
async fn users_are_sorted_by_name_and_paged_on_from_a_row() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    for n in 0..30 {
        user(&server, &format!("Person {n:02}"), &format!("person{:02}@example.com", 99 - n), Role::Member).await;
    }
    let first = admin.page("/admin/users?sort=name&q=person").await;
    assert_eq!(names(&first)[..2], ["Person 00", "Person 01"]);
    assert!(first.contains("aria-sort=\"ascending\""), "{first}");
    let next = first.split("rel=\"next\"").next().and_then(|before| before.rsplit("href=\"").next()).expect("a next page");
    let second = admin.page(&next.split('"').next().expect("an address").replace("&amp;", "&").replace("&#38;", "&")).await;
    assert_eq!(names(&second), ["Person 25", "Person 26", "Person 27", "Person 28", "Person 29"]);
    assert_eq!(names(&admin.page("/admin/users?sort=email&q=person").await)[0], "Person 29");
    assert_eq!(names(&admin.page("/admin/users?sort=-email&q=person").await)[0], "Person 00");
}

#[actix_web::test]
async fn users_are_filtered_by_role_status_and_account() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let ada = user(&server, "Ada", "ada@example.com", Role::Admin).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    server.set_status(&bob, UserStatus::Disabled).await;
    assert_eq!(names(&admin.page("/admin/users?status=disabled").await), ["Bob"]);
    assert!(!names(&admin.page("/admin/users?role=admin").await).contains(&"Bob".to_owned()));
    assert_eq!(names(&admin.page(&format!("/admin/users?account={}", ada.account_id)).await), ["Ada"]);
    assert!(admin.page("/admin/users?account=nowhere").await.contains("No users match"));
}

#[actix_web::test]
async fn many_are_disabled_at_once_and_whoever_must_stay_is_told_of() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let (bob, eve) = (
        user(&server, "Bob", "bob@example.com", Role::Member).await,
        user(&server, "Eve", "eve@example.com", Role::Member).await,
    );
    let asked = admin.page(&format!("/admin/users/bulk?act=disable&id={}&id={}&id={}", bob.id, eve.id, admin.user.id)).await;
    assert!(asked.contains("Disable 3 users") && asked.contains("bob@example.com"), "{asked}");
    assert_eq!(status_of(&server, &bob).await, UserStatus::Active, "asking changes nothing");
    let form = format!("act=disable&id={}&id={}&id={}", bob.id, eve.id, admin.user.id);
    let done = admin.post("/admin/users/bulk", &form).await.expect(200).text;
    assert!(done.contains("1 of 3 not disabled") && done.contains("You are signed in as this user"), "{done}");
    for (user, status) in [(&bob, UserStatus::Disabled), (&eve, UserStatus::Disabled), (&admin.user, UserStatus::Active)] {
        assert_eq!(status_of(&server, user).await, status, "{}", user.name);
    }
}

#[actix_web::test]
async fn all_that_match_are_chosen_by_the_filter() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let (bob, bobby) = (
        user(&server, "Bob", "bob@example.com", Role::Member).await,
        user(&server, "Bobby", "b@example.com", Role::Member).await,
    );
    let eve = user(&server, "Eve", "eve@example.com", Role::Member).await;
    let choice = admin.page("/admin/users/bulk?all=yes&q=bob").await;
    assert!(choice.contains("<h1>2 users</h1>"), "{choice}");
    let done = admin.post("/admin/users/bulk", "act=disable&all=yes&q=bob").await.expect(303);
    assert_eq!(done.header("location"), "/admin/users?done=bulk-disabled&n=2");
    for (user, status) in [(&bob, UserStatus::Disabled), (&bobby, UserStatus::Disabled), (&eve, UserStatus::Active)] {
        assert_eq!(status_of(&server, user).await, status, "{}", user.name);
    }
}

#[actix_web::test]
async fn a_change_of_many_goes_on_over_several_groups() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let account = server.account("Large").await;
    let count = services::bulk::GROUP + 3;
    for _ in 0..count {
        server.user_in(account, Role::Member).await;
    }
    let done = admin.post("/admin/users/bulk", &format!("act=disable&all=yes&account={account}")).await.expect(303);
    assert_eq!(done.header("location"), format!("/admin/users?done=bulk-disabled&n={count}"));
}

#[actix_web::test]
async fn an_invited_user_chooses_a_password_and_is_signed_in() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let form = "name=Grace&email=grace@example.com&role=member&account=Navy&account_is_new=yes&sign_in=invitation";
    let shown = admin.post("/admin/users", form).await.expect(200);
    assert_eq!((shown.header("cache-control"), shown.header("content-encoding")), ("no-store", "identity"));
    let link = link_of(&shown.text);
    assert!(admin.page("/admin/users?status=invited").await.contains("Invited</span>"));
    let followed = follow(&server, &link, &format!("name=Grace+Hopper&password={PASSWORD}")).await.expect(303);
    assert!(followed.header("set-cookie").contains("sid="), "{:?}", followed.headers);
    let list = admin.page("/admin/users?q=grace").await;
    assert!(names(&list) == ["Grace Hopper"] && !list.contains("Invited</span>") && list.contains("Navy"), "{list}");
    assert_eq!(server.anonymous().header("Accept", "text/html").get(&link).await.status, 404, "it works once");
}

#[actix_web::test]
async fn a_link_ends_with_its_time_with_another_and_when_it_is_withdrawn() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    let give = async || link_of(&admin.post(&format!("/admin/users/{}/link", bob.id), "").await.expect(200).text);
    let opens = async |link: &str| server.anonymous().header("Accept", "text/html").get(link).await.status == 200;
    let (first, second) = (give().await, give().await);
    assert!(!opens(&first).await && opens(&second).await);
    admin.post(&format!("/admin/users/{}/link/withdraw", bob.id), "").await.expect(303);
    assert!(!opens(&second).await);
    let third = give().await;
    server.advance(6 * DAY);
    assert!(opens(&third).await);
    server.advance(2 * DAY);
    assert!(!opens(&third).await);
}

#[actix_web::test]
async fn a_link_to_set_a_new_password_signs_out_everywhere_and_in_nowhere() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let account = server.account("Team").await;
    let with_password = |new: &mut keyrack::model::user::NewUser| new.password = Some(Password::typed(PASSWORD));
    let bob = server.user_with(account, Role::Member, with_password).await;
    let own = server.browser(&bob).await;
    let link = link_of(&admin.post(&format!("/admin/users/{}/link", bob.id), "").await.expect(200).text);
    let kind = standing(&server.app, &Caller::command_line(), bob.id).await.expect("a user").pending.expect("a link").kind;
    assert_eq!(kind, LinkKind::Reset);
    let followed = follow(&server, &link, "password=another+sentence+of+words").await.expect(303);
    assert_eq!(followed.header("location"), "/sign-in?done=password-set");
    assert!(!followed.header("set-cookie").contains("sid="), "{:?}", followed.headers);
    assert_eq!(own.get("/settings").await.status, 303);
}

#[actix_web::test]
async fn a_password_that_is_set_otherwise_ends_the_link() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    admin.post(&format!("/admin/users/{}/link", bob.id), "").await.expect(200);
    let changes = UserChanges { password: Some(Password::typed(PASSWORD)), ..UserChanges::default() };
    services::users::update(&server.app, &Caller::command_line(), bob.id, changes, IfMatch::ANY).await.expect("changes");
    assert_eq!(standing(&server.app, &Caller::command_line(), bob.id).await.expect("a user").pending, None);
}

#[actix_web::test]
async fn the_link_of_a_disabled_user_lets_nobody_in() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    let link = link_of(&admin.post(&format!("/admin/users/{}/link", bob.id), "").await.expect(200).text);
    server.set_status(&bob, UserStatus::Disabled).await;
    assert_eq!(server.anonymous().header("Accept", "text/html").get(&link).await.status, 404);
    admin.post(&format!("/admin/users/{}/link", bob.id), "").await.expect(400);
}

#[actix_web::test]
async fn an_enabled_user_is_not_deleted_in_the_dashboard() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    let delete = format!("/admin/users/{}/delete", bob.id);
    let refused = admin.post(&delete, "confirm=bob@example.com").await.expect(400).text;
    assert!(refused.contains("Bob is enabled. Disable them first"), "{refused}");
    server.set_status(&bob, UserStatus::Disabled).await;
    admin.post(&delete, "confirm=bob@example.com").await.expect(303);
    assert!(services::users::find(&server.app, &Caller::command_line(), bob.id).await.is_err());
}

#[actix_web::test]
async fn one_session_is_ended_or_all_but_ones_own() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    let (first, second) = (server.browser(&bob).await, server.browser(&bob).await);
    let page = admin.page(&format!("/admin/users/{}/sessions", bob.id)).await;
    let session = page.split_once("name=\"session\" value=\"").expect("a session").1.split_once('"').expect("an id").0;
    let end = format!("/admin/users/{}/sessions/end", bob.id);
    admin.post(&end, &format!("session={session}")).await.expect(303);
    let left = [first.get("/settings").await.status, second.get("/settings").await.status];
    assert!(left.contains(&200) && left.contains(&303), "{left:?}");
    admin.post(&end, "").await.expect(303);
    assert_eq!([first.get("/settings").await.status, second.get("/settings").await.status], [303, 303]);
    admin.post(&format!("/admin/users/{}/sessions/end", admin.user.id), "").await.expect(303);
    admin.page("/admin").await;
}

#[actix_web::test]
async fn a_search_gives_names_first_then_addresses_on_pages_that_go_both_ways() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    for n in 0..20 {
        user(&server, &format!("Zoe {n:02}"), &format!("zoe{n:02}@example.com"), Role::Member).await;
        user(&server, &format!("Bob {n:02}"), &format!("zoe-b{n:02}@example.com"), Role::Member).await;
    }
    user(&server, "Bob", "bob@example.com", Role::Member).await;
    let all: Vec<String> = ["Zoe", "Bob"].iter().flat_map(|name| (0..20).map(move |n| format!("{name} {n:02}"))).collect();
    let first = admin.page("/admin/users?q=zoe").await;
    assert_eq!(names(&first), all[..25]);
    let second = admin.page(&link_to(&first, "next")).await;
    assert_eq!(names(&second), all[25..]);
    assert_eq!(names(&admin.page(&link_to(&second, "prev")).await), all[..25]);
    let by_email = names(&admin.page("/admin/users?q=zoe&sort=email&limit=100").await);
    assert_eq!((by_email.len(), by_email[0].as_str()), (40, "Bob 00"), "each has an address that begins so");
    let exact = admin.page("/admin/users?q=zoe&limit=100").await;
    assert!(!exact.contains("rel=\"next\"") && names(&exact).len() == 40);
}

#[actix_web::test]
async fn the_activity_of_a_user_tells_what_they_did_and_what_was_done_to_them() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    admin.post(&format!("/admin/users/{}/disable", bob.id), "").await.expect(303);
    let of_bob = admin.page(&format!("/admin/users/{}/activity", bob.id)).await;
    assert!(of_bob.contains(" disabled user <em class=\"name\">Bob</em>") && of_bob.contains("<ins>disabled</ins>"), "{of_bob}");
    assert!(of_bob.contains("The command line added user <em class=\"name\">Bob</em>"), "{of_bob}");
    let of_admin = admin.page(&format!("/admin/users/{}/activity", admin.user.id)).await;
    assert!(of_admin.contains(" disabled user <em class=\"name\">Bob</em>"), "{of_admin}");
}

#[actix_web::test]
async fn an_export_has_the_lists_filter_and_no_formula() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    user(&server, "=1+1", "bob@example.com", Role::Member).await;
    user(&server, "Eve, \"the\" second", "eve@example.com", Role::Admin).await;
    let reply = admin.browser.get("/admin/users/export?format=csv&role=member").await.expect(200);
    assert!(reply.header("content-disposition").starts_with("attachment; filename=\"keyrack-users-"));
    let lines: Vec<&str> = reply.text.lines().collect();
    assert_eq!(lines[0], "id,name,email,role,status,account_id,account,created_at,updated_at");
    assert!(lines.len() == 2 && lines[1].contains(",'=1+1,bob@example.com,member,active,acct_"), "{}", reply.text);
    let admins = admin.browser.get("/admin/users/export?format=csv&role=admin").await.expect(200).text;
    assert!(admins.contains("\"Eve, \"\"the\"\" second\""), "{admins}");
    let lines = admin.browser.get("/admin/users/export?format=ndjson&q=eve").await.expect(200).text;
    let line: serde_json::Value = serde_json::from_str(lines.trim()).expect("one line of JSON");
    assert_eq!((&line["email"], &line["role"]), (&"eve@example.com".into(), &"admin".into()));
}

#[actix_web::test]
async fn an_export_goes_on_past_its_first_batch_and_says_who_took_it() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let account = server.account("Large").await;
    for _ in 0..501 {
        server.user_in(account, Role::Member).await;
    }
    let export = admin.browser.get(&format!("/admin/users/export?format=csv&account={account}")).await.expect(200).text;
    assert_eq!(export.lines().count(), 502);
    let activity = admin.page(&format!("/admin/users/{}/activity", admin.user.id)).await;
    assert!(activity.contains("exported users"), "{activity}");
}

#[actix_web::test]
async fn a_user_without_a_password_is_not_shown_as_one_who_can_sign_in() {
    let server = TestServer::start().await;
    let admin = Admin::of(&server).await;
    let account = server.account("Team").await;
    let bob = user(&server, "Bob", "bob@example.com", Role::Member).await;
    let has_one = |new: &mut keyrack::model::user::NewUser| {
        new.name = Name::parse("Eve").expect("a name");
        new.password = Some(Password::typed(PASSWORD));
    };
    let eve = server.user_with(account, Role::Member, has_one).await;
    let list = admin.page("/admin/users").await;
    for (user, words) in [(&bob, "No password yet"), (&eve, "Active")] {
        let row = list.split("<tr>").find(|row| row.contains(&user.email)).expect("a row");
        assert!(row.contains(&format!(">{words}<")), "{row}");
        assert!(admin.page(&format!("/admin/users/{}", user.id)).await.contains(&format!(">{words}</span></h1>")), "{words}");
    }
}
