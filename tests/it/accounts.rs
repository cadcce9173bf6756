//! Accounts: limits of their own with a reason, metadata, suspension, and the pages that administrators see them on.

use keyrack::model::AppError;
use keyrack::model::account::{AccountChanges, AccountStatus, Reason, Source};
use keyrack::model::api_key::Metadata;
use keyrack::model::caller::Caller;
use keyrack::model::ids::AccountId;
use keyrack::model::page::{Limit, Order, Start};
use keyrack::model::revision::IfMatch;
use keyrack::model::scope::Scope;
use keyrack::model::target::Target;
use keyrack::model::webhook::{EventTypes, NewWebhook};
use keyrack::services::accounts::{self, Filter};
use keyrack::services::idempotency::Keep;
use keyrack::services::{users, webhooks};

use crate::support::{TestServer, windows_of};

fn operator() -> Caller {
    Caller::command_line()
}

#[actix_web::test]
async fn windows_of_its_own_need_a_reason_which_is_kept_with_who_and_when() {
    let server = TestServer::start().await;
    let account = server.account("Acme").await;
    let windows = Some(Some(windows_of(&[(100_000, 3600)])));
    let without = AccountChanges { windows: windows.clone(), ..Default::default() };
    let refused = accounts::update(&server.app, &operator(), account, without).await;
    assert_eq!(refused.expect_err("no reason").to_string(), "Say why this account has limits of its own.");
    let reason = Some(Reason::parse("trusted sender").expect("a reason"));
    let with = AccountChanges { windows, reason, ..Default::default() };
    let given = accounts::update(&server.app, &operator(), account, with).await.expect("changes").given.expect("given");
    assert_eq!((given.reason.as_str(), given.by.as_str(), given.at), ("trusted sender", "command line", server.app.clock.now()));
}

#[actix_web::test]
async fn the_reason_goes_with_the_windows() {
    let server = TestServer::start().await;
    let key = server.key_within(&[Scope::UsersRead], &[(7, 3600)]).await;
    let taken = AccountChanges { windows: Some(None), ..Default::default() };
    let account = accounts::update(&server.app, &operator(), key.user().account_id, taken).await.expect("changes");
    assert_eq!((account.windows, account.given), (None, None));
    assert_eq!(key.get("/v1/key").await.expect(200).header("x-ratelimit-limit"), "1000");
}

#[actix_web::test]
async fn a_reason_alone_is_refused() {
    let server = TestServer::start().await;
    let account = server.account("Acme").await;
    let changes = AccountChanges { reason: Reason::parse("why not").ok(), ..Default::default() };
    let refused = accounts::update(&server.app, &operator(), account, changes).await.expect_err("no windows");
    assert_eq!(refused.to_string(), "A reason belongs to limits of its own. Give some.");
}

#[actix_web::test]
async fn metadata_is_an_object_of_at_most_four_kilobytes() {
    let server = TestServer::start().await;
    let account = server.account("Acme").await;
    let metadata = Metadata::parse(r#"{"plan":"gold"}"#).expect("an object");
    let changes = AccountChanges { metadata: Some(metadata.clone()), ..Default::default() };
    let changed = accounts::update(&server.app, &operator(), account, changes).await.expect("changes");
    assert_eq!(changed.metadata, metadata);
    for wrong in ["[1]", "7", "{", &format!(r#"{{"a":"{}"}}"#, "x".repeat(4096))] {
        assert!(Metadata::parse(wrong).is_err(), "{wrong}");
    }
}

#[actix_web::test]
async fn a_change_that_changes_nothing_leaves_no_event() {
    let server = TestServer::start().await;
    let account = server.account("Acme").await;
    let same = AccountChanges { status: Some(AccountStatus::Active), ..Default::default() };
    let before = accounts::find(&server.app, &operator(), account).await.expect("an account");
    let after = accounts::update(&server.app, &operator(), account, same).await.expect("changes");
    assert_eq!(before, after);
}

#[actix_web::test]
async fn accounts_are_filtered_by_where_their_limits_come_from() {
    let server = TestServer::start().await;
    let own = server.key_within(&[Scope::UsersRead], &[(7, 60)]).await.user().account_id;
    let pro = server.key(&[Scope::UsersRead]).await;
    server.set_tier(&pro, "Pro").await;
    let list = async |limits: Source| {
        let filter = Filter { limits: Some(limits), ..Default::default() };
        let place = (Start::Offset(0), Order::OldestFirst, Limit::of(100));
        let page = accounts::list(&server.app, &operator(), filter, place).await.expect("a page");
        page.rows.iter().map(|account| account.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Source::Own).await, [own]);
    assert_eq!(list(Source::Tier("pro".into())).await, [pro.user().account_id]);
    assert!(!list(Source::Default).await.contains(&own));
}

#[actix_web::test]
async fn a_list_by_name_goes_on_where_its_page_ended_forwards_and_backwards() {
    let server = TestServer::start().await;
    for name in ["Delta", "alpha", "Charlie", "bravo"] {
        server.account(name).await;
    }
    let page = async |start, order| {
        let place = (start, order, Limit::of(2));
        accounts::list_by_name(&server.app, &operator(), Filter::default(), place).await.expect("a page")
    };
    let names = |page: &keyrack::model::page::Page<keyrack::model::account::Account>| {
        page.rows.iter().map(|account| account.name.split(' ').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let first = page(Start::Offset(0), Order::OldestFirst).await;
    assert_eq!(names(&first), ["alpha", "bravo"]);
    let second = page(Start::After(first.rows[1].id), Order::OldestFirst).await;
    assert_eq!((names(&second), second.has_next), (vec!["Charlie".to_owned(), "Delta".to_owned()], false));
    let back = page(Start::Before(second.rows[0].id), Order::OldestFirst).await;
    assert_eq!(names(&back), names(&first));
    assert_eq!(names(&page(Start::Offset(0), Order::NewestFirst).await), ["Delta", "Charlie"]);
}

#[actix_web::test]
async fn the_page_of_an_account_tells_what_is_left_of_its_windows() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let key = server.key_within(&[Scope::UsersRead], &[(500, 3600)]).await;
    for _ in 0..3 {
        key.get("/v1/key").await.expect(200);
    }
    let browser = server.browser(admin.user()).await;
    let page = browser.get(&format!("/admin/accounts/{}", key.user().account_id)).await.expect(200).text;
    assert!(page.contains("500/hour") && page.contains("<td class=\"num\">497</td>"), "{page}");
    assert!(page.contains("trusted sender"), "{page}");
}

#[actix_web::test]
async fn an_account_is_deleted_once_nothing_belongs_to_it() {
    let server = TestServer::start().await;
    let (of_a_user, of_a_webhook) = (server.member().await, server.account("Watchers").await);
    let new = NewWebhook {
        url: Target::parse("https://hooks.example.com/", false).expect("a target"),
        events: EventTypes::parse(["user.created"]).expect("events"),
        account_id: Some(of_a_webhook),
    };
    let (webhook, _) = webhooks::create(&server.app, &operator(), new, None, Keep::nothing()).await.expect("a webhook");
    let delete = async |id| accounts::delete(&server.app, &operator(), id).await;
    for id in [of_a_user.account_id, of_a_webhook] {
        let refused = delete(id).await.expect_err("it has something").to_string();
        assert_eq!(refused, "Something still belongs to this account. Delete its users and webhooks first.");
    }
    users::delete(&server.app, &operator(), of_a_user.id, IfMatch::ANY).await.expect("deleted");
    webhooks::delete(&server.app, &operator(), webhook.id, IfMatch::ANY).await.expect("deleted");
    for id in [of_a_user.account_id, of_a_webhook] {
        delete(id).await.expect("deleted");
        assert!(matches!(delete(id).await, Err(AppError::NotFound("account"))));
    }
}

#[actix_web::test]
async fn the_page_of_an_empty_account_offers_to_delete_it() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    let page = |id: AccountId| format!("/admin/accounts/{id}");
    let (empty, own) = (page(server.account("Typo").await), page(admin.user().account_id));
    assert!(!browser.get(&own).await.expect(200).text.contains(&format!("{own}/delete")));
    assert!(browser.get(&empty).await.expect(200).text.contains(&format!("{empty}/delete")));
    let delete = async |page: &str| browser.submit(&format!("{page}/delete"), &format!("{page}/delete"), &[]).await;
    assert!(delete(&own).await.expect(400).text.contains("Something still belongs to this account."));
    let deleted = delete(&empty).await.expect(303);
    assert!(browser.get(deleted.header("location")).await.expect(200).text.contains("Account deleted"));
    browser.get(&empty).await.expect(404);
    assert!(browser.get("/admin/audit").await.expect(200).text.contains("deleted account"));
}

#[actix_web::test]
async fn an_account_without_a_tier_is_said_to_have_none_wherever_it_is_shown() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let browser = server.browser(admin.user()).await;
    for path in ["/admin/keys", "/admin/accounts", &format!("/admin/accounts/{}", admin.user().account_id)] {
        let page = browser.get(path).await.expect(200).text;
        assert!(page.contains(">No tier"), "{path}: {page}");
    }
}
