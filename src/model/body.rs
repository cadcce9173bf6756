//! Users and keys as programs are shown them: by the API, the command line and webhooks.

use serde::Serialize;
use serde_json::{Map, Value};

use super::api_key::{ApiKey, IpAllow};
use super::clock::Timestamp;
use super::ids::{AccountId, ApiKeyId, UserId};
use super::scope::ScopeSet;
use super::tier::Windows;
use super::user::User;

#[derive(Serialize)]
pub struct UserBody<'a> {
    id: UserId,
    name: &'a str,
    email: &'a str,
    account_id: AccountId,
    role: &'static str,
    status: &'static str,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            name: &user.name,
            email: &user.email,
            account_id: user.account_id,
            role: user.role.name(),
            status: user.status.name(),
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

#[derive(Serialize)]
pub struct KeyBody<'a> {
    id: ApiKeyId,
    name: &'a str,
    user_id: UserId,
    account_id: AccountId,
    scopes: ScopeSet,
    enabled: bool,
    status: &'static str,
    hint: &'a str,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    ip_allow: &'a IpAllow,
    windows: &'a Windows,
    metadata: &'a Map<String, Value>,
    rotation: Option<RotationBody<'a>>,
}

#[derive(Serialize)]
struct RotationBody<'a> {
    old_hint: &'a str,
    old_expires_at: Timestamp,
    old_last_used_at: Option<Timestamp>,
}

impl<'a> KeyBody<'a> {
    pub fn new(key: &'a ApiKey, now: Timestamp) -> Self {
        Self {
            id: key.id,
            name: &key.name,
            user_id: key.user_id,
            account_id: key.account_id,
            scopes: key.scopes,
            enabled: key.enabled,
            status: key.status(now).name(),
            hint: &key.hint,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used.as_ref().map(|last| last.at),
            ip_allow: &key.ip_allow,
            windows: &key.windows,
            metadata: key.metadata.as_map(),
            rotation: key.rotation_at(now).map(|rotation| RotationBody {
                old_hint: &rotation.old_hint,
                old_expires_at: rotation.old_expires_at,
                old_last_used_at: rotation.old_last_used.as_ref().map(|last| last.at),
            }),
        }
    }
}
