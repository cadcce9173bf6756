//! All users that a filter finds, as a file. It is streamed: a directory of any size takes the memory of one batch.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use futures_util::stream;

use super::list::Filtered;
use crate::http::csrf::Fields;
use crate::http::page::PageError;
use crate::http::signed_in::SignedIn;
use crate::model::AppError;
use crate::model::error::in_full;
use crate::model::ids::UserId;
use crate::services;
use crate::services::export::{Export, Format, Which};

pub async fn export(who: SignedIn, fields: Fields) -> Result<HttpResponse, PageError> {
    let format = Format::parse(fields.text("format")).unwrap_or(Format::Csv);
    let ids: Vec<UserId> = fields.all("id").filter_map(UserId::parse).collect();
    let filtered = Filtered::of(&who, &fields).await?;
    let which = match filtered.is_nobody {
        true => Which::These(Vec::new()),
        false if ids.is_empty() => Which::Matching(filtered.filter),
        false => Which::These(ids),
    };
    let export = services::export::begin(&who.app, &who.caller, which, format).await?;
    let day = who.app.clock.now().to_string();
    let name = format!("keyrack-users-{}.{}", day.split('T').next().unwrap_or_default(), format.name());
    let chunks = stream::unfold((who.visit.app, Some(export), HashMap::new()), |(app, export, mut accounts)| async move {
        let export: Export = export?;
        Some(match services::export::next(&app, export, &mut accounts).await {
            Ok((chunk, rest)) => (Ok(actix_web::web::Bytes::from(chunk)), (app, rest, accounts)),
            Err(err) => {
                tracing::error!(error = in_full(&err), "an export broke off");
                (Err(err), (app, None, accounts))
            }
        })
    });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.media_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(stream_errors(chunks))))
}

fn stream_errors(
    chunks: impl stream::Stream<Item = Result<actix_web::web::Bytes, AppError>>,
) -> impl stream::Stream<Item = Result<actix_web::web::Bytes, PageError>> {
    use futures_util::TryStreamExt;
    chunks.map_err(PageError::from)
}
