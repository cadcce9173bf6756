//! Reading a request's body: bounded in size, and in time from its first read on.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::model::{AppError, Result};

/// The whole body, or why it was cut. The time starts here, so that waiting in the queue takes nothing from it.
pub async fn read(payload: &mut Payload, limit: usize, time: Duration) -> Result<Bytes> {
    let whole = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|err| AppError::BadRequest(format!("The body could not be read: {err}.")))?;
            if body.len() + chunk.len() > limit {
                return Err(AppError::BodyTooLarge { limit });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(time, whole).await.unwrap_or(Err(AppError::RequestTimeout { limit: time }))
}
