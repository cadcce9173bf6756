//! What the dashboard stores of the configuration.

use serde_json::json;

use crate::app::App;
use crate::model::Result;
use crate::model::audit_event::Happening;
use crate::model::caller::Caller;
use crate::model::scope::Scope;
use crate::store::{self, Store};

/// Read before there is an [`App`], since the configuration is made of it.
pub fn stored(store: &Store) -> Result<Vec<(String, String)>> {
    store.look_up(store::settings::list)
}

pub async fn set(app: &App, caller: &Caller, name: &str, value: &str) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (caller, now, name, value) = (caller.clone(), app.clock.now(), name.to_owned(), value.to_owned());
    app.store
        .write(move |tx| {
            store::settings::set(tx, &name, &value, now)?;
            let happening = Happening::new("setting.changed", "setting", &name, &name).with(json!({ "to": value }));
            store::audit_events::append(tx, &caller, now, None, &happening)
        })
        .await
}
