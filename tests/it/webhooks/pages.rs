//! What an administrator is told of webhooks.

use keyrack::model::user::Role;
use serde_json::json;

use super::receiver::{Answer, Receiver};
use super::{an_event, deliveries, path_of, server, webhook};
use crate::support::DAY;

#[actix_web::test]
async fn a_webhook_that_fails_is_on_the_overview_until_it_takes_something() {
    let server = server().await;
    let (admin, receiver) = (server.admin().await, Receiver::start().await);
    let made = webhook(&admin, &receiver).await;
    let browser = server.browser(&server.user_in(admin.user().account_id, Role::Admin).await).await;
    admin.get("/v1/key").await.expect(200);
    server.flush().await;
    server.deliver().await;
    let overview = async || browser.get("/admin").await.expect(200).text;
    assert!(!overview().await.contains("Failing webhooks"));
    receiver.answers(Answer::Says(500, "", "<script>alert(1)</script>".into()));
    an_event(&server, &admin).await;
    server.deliver().await;
    let told = overview().await;
    assert!(told.contains("Failing webhooks") && told.contains(&receiver.url()), "{told}");
    receiver.recovers();
    server.advance(DAY);
    server.deliver().await;
    let browser = server.browser(admin.user()).await;
    assert!(!browser.get("/admin").await.expect(200).text.contains("Failing webhooks"));
    let delivery = deliveries(&admin, &made).await.pop().expect("a delivery");
    let page = browser.get(&format!("/admin/webhooks/deliveries/{}?attempt=1", delivery["id"].as_str().expect("an id"))).await;
    assert!(page.text.contains("&#60;script&#62;alert(1)"), "{}", page.text);
}

#[actix_web::test]
async fn a_disabled_webhook_says_why_and_what_to_do() {
    let server = server().await;
    let (admin, receiver) = (server.admin().await, Receiver::start().await);
    let made = webhook(&admin, &receiver).await;
    receiver.answers(Answer::Says(410, "", String::new()));
    an_event(&server, &admin).await;
    server.deliver().await;
    let browser = server.browser(admin.user()).await;
    let page = browser.get(&path_of(&made).replace("/v1", "/admin")).await.expect(200).text;
    assert!(page.contains("Disabled: nothing is sent to it") && page.contains("The receiver answered 410 Gone."), "{page}");
    admin.patch(&path_of(&made), json!({ "status": "active" })).await.expect(200);
    let page = browser.get(&path_of(&made).replace("/v1", "/admin")).await.expect(200).text;
    assert!(!page.contains("Disabled: nothing is sent to it"));
}

#[actix_web::test]
async fn a_failing_webhook_tells_the_cause_and_a_paused_one_promises_no_attempts() {
    let server = server().await;
    let (admin, receiver) = (server.admin().await, Receiver::start().await);
    let made = webhook(&admin, &receiver).await;
    receiver.answers(Answer::Hangs);
    an_event(&server, &admin).await;
    server.deliver().await;
    let browser = server.browser(admin.user()).await;
    let page = async || browser.get(&path_of(&made).replace("/v1", "/admin")).await.expect(200).text;
    let failing = page().await;
    let at_the_delivery =
        failing.split_once("<span class=\"small\">").expect("a cause").1.split_once("</span>").expect("its end").0;
    assert!(failing.contains(&format!("<p>{at_the_delivery} Each message is tried eight times")), "{failing}");
    admin.patch(&path_of(&made), json!({ "status": "paused" })).await.expect(200);
    let paused = page().await;
    assert!(paused.contains("Before it was paused it failed") && !paused.contains("tried eight times"), "{paused}");
}
