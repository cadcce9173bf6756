//! Reading a request's body: bounded in size, and in time from its first read on.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures_util::{FutureExt, StreamExt};

use crate::model::{AppError, Result};

/// The whole body, or why it was cut. The time starts here.
pub async fn read(payload: &mut Payload, limit: usize, time: Duration) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut body = BytesMut::new();
    let gather = |chunk: Bytes| {
        // Most bodies come in one piece, and are not copied.
        if first.is_empty() && body.is_empty() {
            first = chunk;
        } else {
            body.extend_from_slice(&std::mem::take(&mut first));
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    if !matches!(payload, Payload::None) {
        arrive().await;
    }
    stream(payload, limit, time, gather).await?;
    Ok(if body.is_empty() { first } else { body.freeze() })
}

/// Mostly a body comes with its head, and actix hands it over (in HTTP/1) between its first look at the request and its second:
/// looked for then, it needs no timer.
async fn arrive() {
    let mut is_second = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_second, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Each piece of the body as it comes.
pub async fn stream(
    payload: &mut Payload,
    limit: usize,
    time: Duration,
    mut each: impl FnMut(Bytes) -> Result<()>,
) -> Result<()> {
    let whole = async {
        let mut length = 0;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|err| AppError::BadRequest(format!("The body could not be read: {err}.")))?;
            length += chunk.len();
            if length > limit {
                return Err(AppError::BodyTooLarge { limit });
            }
            each(chunk)?;
        }
        Ok(())
    };
    let mut whole = pin!(whole);
    // What is here already needs no timer.
    if let Some(done) = whole.as_mut().now_or_never() {
        return done;
    }
    tokio::time::timeout(time, whole).await.unwrap_or(Err(AppError::RequestTimeout { limit: time }))
}
