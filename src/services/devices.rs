//! Browsers in which a person signed in before. Each keeps a note that only this server can write and read, for that
//! person alone; nothing of it is stored here.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;

use crate::app::App;
use crate::crypto::fill_random;
use crate::model::Result;
use crate::model::clock::Timestamp;
use crate::model::ids::UserId;

/// How long a browser is known after the last sign-in.
pub const LIFE: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// What tells one note from another, however it is written.
pub(super) type Number = [u8; 16];

/// A note for the browser in which this person has just signed in.
pub async fn note(app: &App, user: UserId) -> Result<String> {
    let mut number: Number = Default::default();
    fill_random(&mut number);
    let until = app.clock.now().saturating_add(LIFE).millis().to_be_bytes();
    let clear = [number.as_slice(), &until].concat();
    Ok(BASE64URL_NOPAD.encode(&app.master_key().await?.seal(&place(Some(user)), &clear)))
}

/// The number in a note, if it is one of ours, for this person, and not too old. For nobody the same is done in vain.
pub(super) async fn number(app: &App, user: Option<UserId>, note: &str) -> Option<Number> {
    let sealed = BASE64URL_NOPAD.decode(note.as_bytes()).ok()?;
    let clear = app.master_key().await.ok()?.open(&place(user), &sealed).ok()?;
    let (number, until) = clear.split_at_checked(size_of::<Number>())?;
    let until = Timestamp::from_millis(i64::from_be_bytes(until.try_into().ok()?));
    (app.clock.now() < until).then(|| number.try_into().ok()).flatten()
}

fn place(user: Option<UserId>) -> String {
    user.map_or_else(|| "devices of nobody".into(), |id| format!("devices:{id}"))
}
