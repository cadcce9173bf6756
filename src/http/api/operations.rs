//! Every operation of the API, a row each: what it is called, where it is, what it needs and what it does. The router's
//! answers to wrong verbs, the access matrix and the documents are made from this table.

use crate::model::scope::Scope;

pub struct Operation {
    /// Verb and noun; the service and the tests share the word.
    pub id: &'static str,
    /// `ANY` where every verb is answered.
    pub method: &'static str,
    /// As the router has it.
    pub path: &'static str,
    pub access: Access,
    pub words: &'static str,
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Anyone,
    AnyKey,
    Scope(Scope),
}

impl Operation {
    /// What `Allow` lists for it: HEAD answers wherever GET does.
    pub fn verbs(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.method), (self.method == "GET").then_some("HEAD")].into_iter().flatten()
    }
}

macro_rules! operations {
    ($table:ident: $($id:ident $method:ident $path:literal $access:expr, $words:literal;)*) => {
        pub const $table: &[Operation] = &[$(
            Operation { id: stringify!($id), method: stringify!($method), path: $path, access: $access, words: $words },
        )*];
    };
}

operations! {
    OPERATIONS:
    show_own_user GET "/v1/users/me" Access::AnyKey, "The user whom the credential belongs to.";
    list_users GET "/v1/users" Access::Scope(Scope::UsersRead), "The users, oldest first.";
    create_user POST "/v1/users" Access::Scope(Scope::UsersWrite), "Create a user.";
    show_user GET "/v1/users/{id}" Access::Scope(Scope::UsersRead), "One user.";
    update_user PATCH "/v1/users/{id}" Access::Scope(Scope::UsersWrite), "Change the fields given of a user.";
    replace_user PUT "/v1/users/{id}" Access::Scope(Scope::UsersWrite), "The same as PATCH: only the fields given change.";
    delete_user DELETE "/v1/users/{id}" Access::Scope(Scope::UsersWrite), "Delete a user, whose keys and sessions stop at once.";
    show_own_key GET "/v1/key" Access::AnyKey, "The calling key itself, and what is left of its limits.";
    list_api_keys GET "/v1/keys" Access::Scope(Scope::KeysRead), "The API keys, oldest first.";
    create_api_key POST "/v1/keys" Access::Scope(Scope::KeysWrite), "Create an API key. Its secret is shown this once.";
    verify_api_key POST "/v1/keys/verify" Access::Scope(Scope::KeysVerify), "Check a key for another service, and count a request for its account.";
    import_api_keys POST "/v1/keys/import" Access::Scope(Scope::KeysWrite), "Bring in the keys of another system by their hashes, all or none.";
    report_api_key POST "/v1/keys/report" Access::Anyone, "Revoke a leaked key: whoever holds its secret may.";
    show_api_key GET "/v1/keys/{id}" Access::Scope(Scope::KeysRead), "One API key.";
    update_api_key PATCH "/v1/keys/{id}" Access::Scope(Scope::KeysWrite), "Change the fields given of an API key.";
    revoke_api_key DELETE "/v1/keys/{id}" Access::Scope(Scope::KeysWrite), "Revoke an API key for good.";
    rotate_api_key POST "/v1/keys/{id}/rotate" Access::Scope(Scope::KeysWrite), "Give an API key a new secret; the old one works on for an overlap.";
    forward_auth ANY "/v1/forward-auth" Access::AnyKey, "Tell a gateway whether to let its client in, and who it is.";
    metrics GET "/metrics" Access::Anyone, "Figures for Prometheus: for this machine, or with the configured token.";
    health GET "/healthz" Access::Anyone, "Whether the process is up.";
    readiness GET "/readyz" Access::Anyone, "Whether the server can do its work.";
}

// `/api-keys`, in the dialects that serve it.
operations! {
    API_KEYS_PATH:
    list_keys_in_short GET "/api-keys" Access::Scope(Scope::KeysRead), "The API keys that work, newest first.";
    create_key_in_short POST "/api-keys" Access::Scope(Scope::KeysWrite), "Create an API key with full access, or a restricted one.";
    rename_key PATCH "/api-keys/{id}" Access::Scope(Scope::KeysWrite), "Give an API key another name.";
    remove_key DELETE "/api-keys/{id}" Access::Scope(Scope::KeysWrite), "Revoke an API key for good.";
}
