//! Tiers: list, set, delete. A change reaches every account that has the tier, at once.

use serde_json::json;

use crate::app::App;
use crate::app::callers::Concerns;
use crate::model::audit_event::{Happening, changed};
use crate::model::caller::Caller;
use crate::model::name::Name;
use crate::model::scope::Scope;
use crate::model::tier::{Tier, Windows};
use crate::model::{AppError, Result};
use crate::store;

pub async fn list(app: &App) -> Result<Vec<Tier>> {
    app.store.read(store::tiers::list).await
}

/// Adds a tier, or gives the one of this name other windows.
pub async fn set(app: &App, caller: &Caller, name: Name, windows: Windows) -> Result<Tier> {
    caller.must_have(Scope::Admin)?;
    if windows.is_empty() {
        return Err(AppError::invalid("windows", "required", "A tier has at least one window, for example 1000/1h."));
    }
    let (by, now) = (caller.clone(), app.clock.now());
    let tier = Tier { name: name.as_str().into(), windows };
    let set = tier.clone();
    app.change(
        caller,
        move |tx| {
            let before = store::tiers::find(tx, &set.name)?.map(|tier| tier.windows);
            store::tiers::set(tx, &set, now)?;
            let diff = changed([("windows", json!(before), json!(set.windows))]);
            let happening = Happening::new("tier.set", "tier", &set.name, &set.name).with(diff);
            store::audit_events::append(tx, &by, now, None, &happening)
        },
        |()| Concerns::Everyone,
    )
    .await?;
    Ok(tier)
}

pub async fn delete(app: &App, caller: &Caller, name: &str) -> Result<()> {
    caller.must_have(Scope::Admin)?;
    let (by, now, name) = (caller.clone(), app.clock.now(), name.to_owned());
    app.change(
        caller,
        move |tx| {
            let tier = store::tiers::find(tx, &name)?.ok_or(AppError::NotFound("tier"))?;
            store::tiers::delete(tx, &name)?;
            let diff = changed([("windows", json!(tier.windows), json!(null))]);
            let happening = Happening::new("tier.deleted", "tier", &tier.name, &tier.name).with(diff);
            store::audit_events::append(tx, &by, now, None, &happening)
        },
        |()| Concerns::Nobody,
    )
    .await
}
