//! What becomes of a message that is not taken, and that it is nobody else's trouble.

use std::time::{Duration, Instant};

use keyrack::services::webhooks::worker;
use serde_json::json;

use super::receiver::{Answer, Received, Receiver};
use super::{an_event, deliveries, member, path_of, server, webhook};
use crate::support::{DAY, HOUR, MINUTE, SECOND};

fn says(status: u16, head: &'static str) -> Answer {
    Answer::Says(status, head, String::new())
}

/// A tenth more than a pause: it has passed for sure.
fn well_past(pause: Duration) -> Duration {
    pause.mul_f64(1.11)
}

#[actix_web::test]
async fn a_message_is_tried_eight_times_with_longer_and_longer_pauses() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    receiver.fails();
    an_event(&server, &key).await;
    server.deliver().await;
    let first = receiver.take().remove(0);
    for pause in [SECOND * 5, MINUTE * 5, MINUTE * 30, HOUR * 2, HOUR * 5, HOUR * 10, HOUR * 10] {
        server.advance(pause - SECOND);
        server.deliver().await;
        assert_eq!(receiver.count(), 0, "not before {pause:?}");
        server.advance(well_past(pause) - pause + SECOND);
        server.deliver().await;
        let again = receiver.take();
        assert_eq!(again.len(), 1, "after {pause:?}");
        assert_eq!((again[0].id(), &again[0].body), (first.id(), &first.body), "the same message");
        assert_ne!(again[0].header("webhook-timestamp"), first.header("webhook-timestamp"), "at another time");
    }
    let delivery = deliveries(&key, &made).await.remove(0);
    assert_eq!((delivery["status"].as_str(), delivery["attempts"].as_u64()), (Some("failed"), Some(8)));
    server.advance(DAY * 2);
    server.deliver().await;
    assert_eq!(receiver.count(), 0, "and then no more");
}

#[actix_web::test]
async fn retry_after_is_waited_for_by_all_that_is_for_this_webhook() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    receiver.answers_once(says(429, "retry-after: 120\r\n"));
    an_event(&server, &key).await;
    server.deliver().await;
    an_event(&server, &key).await;
    server.advance(SECOND * 119);
    server.deliver().await;
    assert_eq!(receiver.take().len(), 1, "the first attempt alone");
    server.advance(SECOND * 2);
    server.deliver().await;
    assert_eq!(receiver.count(), 2);
    assert!(deliveries(&key, &made).await.iter().all(|delivery| delivery["status"] == "delivered"));
}

#[actix_web::test]
async fn an_answer_of_410_disables_the_webhook_until_a_person_acts() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    receiver.answers_once(says(410, ""));
    an_event(&server, &key).await;
    an_event(&server, &key).await;
    server.deliver().await;
    assert_eq!(receiver.take().len(), 1);
    let disabled = key.get(&path_of(&made)).await.json();
    assert_eq!(disabled["status"], "disabled");
    assert_eq!(disabled["disabled_reason"], "The receiver answered 410 Gone.");
    assert!(deliveries(&key, &made).await.iter().all(|delivery| delivery["status"] == "failed"));
    an_event(&server, &key).await;
    assert_eq!(deliveries(&key, &made).await.len(), 2, "nothing more is stored for it");
    let revived = key.patch(&path_of(&made), json!({ "status": "active" })).await.expect(200).json();
    assert!(revived["disabled_reason"].is_null());
    let since = json!({ "since": "2026-11-22T10:00:00Z" });
    let replayed = key.post(&format!("{}/replay", path_of(&made)), since).await.expect(202).json();
    assert_eq!(replayed["replayed"], 2);
    server.deliver().await;
    assert_eq!(receiver.count(), 2);
}

#[actix_web::test]
async fn five_days_of_failure_disable_a_webhook_and_a_success_begins_them_anew() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let status = async || key.get(&path_of(&made)).await.json()["status"].as_str().expect("a status").to_owned();
    let days = async |days: u32| {
        for _ in 0..days {
            an_event(&server, &key).await;
            server.deliver().await;
            server.advance(DAY);
        }
    };
    receiver.fails();
    days(4).await;
    receiver.recovers();
    server.deliver().await;
    receiver.fails();
    days(5).await;
    assert_eq!(status().await, "active");
    days(1).await;
    assert_eq!(status().await, "disabled");
    let reason = key.get(&path_of(&made)).await.json()["disabled_reason"].as_str().expect("a reason").to_owned();
    assert_eq!(reason, "It failed for five days. The last time: Answered 500.");
}

#[actix_web::test]
async fn a_redirect_is_not_followed() {
    let server = server().await;
    let (key, receiver, inside) = (member(&server).await, Receiver::start().await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    let location: &'static str = format!("location: {}\r\n", inside.url()).leak();
    receiver.answers_once(says(301, location));
    an_event(&server, &key).await;
    server.deliver().await;
    assert_eq!((receiver.count(), inside.count()), (1, 0));
    let delivery = deliveries(&key, &made).await.remove(0);
    let error = delivery["error"].as_str().expect("an error");
    assert!(error.starts_with("Answered 301. Redirects are not followed"), "{error}");
    assert_eq!(delivery["status"], "pending");
}

#[actix_web::test]
async fn of_a_long_answer_the_beginning_is_read_and_nothing_of_it_kept() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    receiver.answers_once(Answer::Says(200, "", "x".repeat(10_000_000)));
    an_event(&server, &key).await;
    server.deliver().await;
    assert_eq!(deliveries(&key, &made).await[0]["status"], "delivered");
    receiver.answers_once(Answer::Says(500, "", format!("<b>\u{1b}[31m{}", "y".repeat(10_000_000))));
    an_event(&server, &key).await;
    server.deliver().await;
    let failed = deliveries(&key, &made).await.remove(1);
    let one = key.get(&format!("/v1/webhooks/deliveries/{}", failed["id"].as_str().expect("an id"))).await.json();
    let excerpt = one["log"][0]["response"]["excerpt"].as_str().expect("an excerpt");
    assert!(excerpt.starts_with("<b> [31myyy") && excerpt.chars().count() == 500, "{excerpt}");
}

#[actix_web::test]
async fn a_receiver_that_hangs_is_left_after_the_timeout() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    receiver.answers(Answer::Hangs);
    an_event(&server, &key).await;
    let began = Instant::now();
    server.deliver().await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let delivery = deliveries(&key, &made).await.remove(0);
    assert!(delivery["error"].as_str().expect("an error").starts_with("No answer within"), "{delivery}");
}

#[actix_web::test]
async fn a_hiccup_keeps_the_order_and_a_message_that_is_never_taken_blocks_no_other() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    receiver.answers_once(says(500, ""));
    for _ in 0..3 {
        an_event(&server, &key).await;
    }
    server.deliver().await;
    let first = receiver.take().remove(0);
    server.advance(SECOND * 6);
    server.deliver().await;
    let ids: Vec<String> = receiver.take().iter().map(|told| told.id().to_owned()).collect();
    assert!(ids.len() == 3 && ids[0] == first.id() && ids.is_sorted(), "{ids:?}");
    for _ in 0..2 {
        receiver.answers_once(says(500, ""));
    }
    for _ in 0..3 {
        an_event(&server, &key).await;
    }
    server.deliver().await;
    server.advance(SECOND * 6);
    server.deliver().await;
    let ids: Vec<String> = receiver.take().iter().map(|told| told.id().to_owned()).collect();
    assert!(ids.len() == 4 && ids[0] == ids[1] && ids[1] < ids[2] && ids[2] < ids[3], "{ids:?}");
}

#[actix_web::test]
async fn a_receiver_that_has_recovered_gets_all_that_waited_oldest_first() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    receiver.fails();
    for _ in 0..20 {
        an_event(&server, &key).await;
        server.deliver().await;
        server.advance(SECOND * 6);
    }
    receiver.take();
    receiver.recovers();
    server.advance(HOUR * 3);
    server.deliver().await;
    let ids: Vec<String> = receiver.take().iter().map(|told| told.id().to_owned()).collect();
    assert!(ids.len() == 20 && ids.is_sorted(), "{ids:?}");
}

#[actix_web::test]
async fn many_that_hang_delay_nobody_who_answers() {
    let server = server().await;
    let (key, healthy) = (member(&server).await, Receiver::start().await);
    let mut hanging = Vec::new();
    for _ in 0..20 {
        let receiver = Receiver::start().await;
        receiver.answers(Answer::Hangs);
        webhook(&key, &receiver).await;
        hanging.push(receiver);
    }
    an_event(&server, &key).await;
    server.deliver().await;
    webhook(&key, &healthy).await;
    // From here on twenty are known to fail, and all of them have their turn together.
    server.advance(SECOND * 6);
    an_event(&server, &key).await;
    let running = actix_web::rt::spawn(worker::run(server.app.clone()));
    let began = Instant::now();
    while healthy.count() == 0 && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.abort();
    assert!(began.elapsed() < Duration::from_millis(250), "less than one of the others takes: {:?}", began.elapsed());
}

#[actix_web::test]
async fn the_running_worker_sends_at_once() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    let running = actix_web::rt::spawn(worker::run(server.app.clone()));
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    an_event(&server, &key).await;
    while receiver.count() == 0 && began.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    running.abort();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[actix_web::test]
async fn what_was_stored_before_a_crash_is_sent_after_it() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    webhook(&key, &receiver).await;
    an_event(&server, &key).await;
    receiver.answers_once(Answer::Hangs);
    let interrupted = tokio::time::timeout(Duration::from_millis(100), server.deliver()).await;
    assert!(interrupted.is_err(), "it was being sent");
    let server = server.crash().await;
    server.deliver().await;
    let told = receiver.take();
    assert_eq!((told.len(), told[0].id()), (2, told[1].id()), "again, with the same id");
}

#[actix_web::test]
async fn a_delivery_is_replayed_with_the_same_id() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    an_event(&server, &key).await;
    server.deliver().await;
    let delivery = deliveries(&key, &made).await.remove(0);
    let path = format!("/v1/webhooks/deliveries/{}", delivery["id"].as_str().expect("an id"));
    let waits = key.post(&format!("{path}/replay"), json!({})).await.expect(202).json();
    assert_eq!((waits["id"].clone(), waits["status"].as_str()), (delivery["id"].clone(), Some("pending")));
    server.deliver().await;
    let told = receiver.take();
    assert_eq!((told.len(), told[0].id(), &told[0].body), (2, told[1].id(), &told[1].body));
    assert_eq!(key.get(&path).await.json()["log"].as_array().expect("a log").len(), 2);
}

#[actix_web::test]
async fn events_are_kept_for_thirty_days() {
    let server = server().await;
    let (key, receiver) = (member(&server).await, Receiver::start().await);
    let made = webhook(&key, &receiver).await;
    an_event(&server, &key).await;
    server.deliver().await;
    let _: Vec<Received> = receiver.take();
    server.advance(DAY * 30);
    keyrack::services::maintenance::sweep(&server.app).await.expect("sweeps");
    assert_eq!(deliveries(&key, &made).await.len(), 1);
    server.advance(SECOND);
    keyrack::services::maintenance::sweep(&server.app).await.expect("sweeps");
    assert_eq!(deliveries(&key, &made).await.len(), 0);
}
