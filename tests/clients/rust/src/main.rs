//! Resend's crate, unchanged but for its base URL, against a Keyrack: keys are made, listed, renamed and removed, and
//! what goes wrong is told in the crate's own errors.

use resend_rs::list_opts::ListOptions;
use resend_rs::types::{CreateApiKeyOptions, ErrorKind, UpdateApiKeyOptions};
use resend_rs::{ConfigBuilder, Error, Resend};

fn client(key: &str) -> Resend {
    let url = var("BASE_URL").parse().expect("a URL");
    Resend::with_config(ConfigBuilder::new(key).base_url(url).build())
}

fn var(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

async fn kind_of(key: &str) -> ErrorKind {
    match client(key).api_keys.list(ListOptions::default()).await {
        Err(Error::Resend(error)) => error.kind(),
        other => panic!("{other:?}"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let resend = client(&var("KEY"));
    let made = resend.api_keys.create(CreateApiKeyOptions::new("Production").with_full_access()).await.expect("created");
    assert!(made.token.starts_with("re_"), "{}", made.token);
    // The new key works at once, and may do as much.
    let listed = client(&made.token).api_keys.list(ListOptions::default()).await.expect("listed");
    assert!(!listed.has_more);
    assert_eq!(listed.data[0].id, made.id, "newest first");
    assert_eq!(listed.data[0].name, "Production");

    let renamed = resend.api_keys.update(&made.id, UpdateApiKeyOptions::new("Staging")).await.expect("renamed");
    assert_eq!(renamed.id, made.id);
    let second = resend.api_keys.create(CreateApiKeyOptions::new("Second")).await.expect("created");
    let page = resend.api_keys.list(ListOptions::default().with_limit(1)).await.expect("a page");
    assert!(page.has_more && page.data[0].id == second.id);
    let next = resend.api_keys.list(ListOptions::default().with_limit(1).list_after(&second.id)).await.expect("the next");
    assert_eq!(next.data[0].name, "Staging");

    let sending = resend.api_keys.create(CreateApiKeyOptions::new("Sender").with_sending_access()).await.expect("created");
    assert_eq!(kind_of(&sending.token).await, ErrorKind::RestrictedApiKey);

    let before = resend.api_keys.list(ListOptions::default()).await.expect("listed").len();
    resend.api_keys.delete(&made.id).await.expect("removed");
    let left = resend.api_keys.list(ListOptions::default()).await.expect("listed");
    assert_eq!(left.len() + 1, before);
    assert!(left.data.iter().all(|key| key.id != made.id));

    assert_eq!(kind_of("").await, ErrorKind::MissingApiKey);
    // The crate has no name of its own for a key that is wrong; what it got is in the answer.
    match client("re_wrong").api_keys.list(ListOptions::default()).await {
        Err(Error::Resend(error)) => assert_eq!((error.status_code, error.name.as_str()), (403, "invalid_api_key")),
        other => panic!("{other:?}"),
    }
    let limited = client(&var("LIMITED_KEY"));
    drop(limited.api_keys.list(ListOptions::default()).await.expect("the one request of this window"));
    match limited.api_keys.list(ListOptions::default()).await {
        Err(Error::RateLimit { ratelimit_limit, ratelimit_remaining, ratelimit_reset }) => {
            assert_eq!((ratelimit_limit, ratelimit_remaining, ratelimit_reset), (Some(1), Some(0), Some(60)));
        }
        other => panic!("{other:?}"),
    }
}
