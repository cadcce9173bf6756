//! Every operation of the API, a row each: what it is called, where it is, what it needs and what it does. The router's
//! answers to wrong verbs, the access matrix and the documents are made from this table.

use super::deprecation::Deprecated;
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
    pub deprecated: Option<Deprecated>,
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Anyone,
    AnyKey,
    Scope(Scope),
    /// An OAuth client, which shows its own id and secret.
    Client,
}

impl Operation {
    /// What `Allow` lists for it: HEAD answers wherever GET does.
    pub fn verbs(&self) -> impl Iterator<Item = &'static str> {
        [Some(self.method), (self.method == "GET").then_some("HEAD")].into_iter().flatten()
    }
}

// A row ends with `, deprecated: Deprecated { … }` where the operation will go away.
macro_rules! operations {
    ($table:ident: $($id:ident $method:ident $path:literal $access:expr, $words:literal $(, deprecated: $deprecated:expr)?;)*) => {
        pub const $table: &[Operation] = &[$(
            Operation {
                id: stringify!($id),
                method: stringify!($method),
                path: $path,
                access: $access,
                words: $words,
                deprecated: operations!(@ $($deprecated)?),
            },
        )*];
    };
    (@) => { None };
    (@ $deprecated:expr) => { Some($deprecated) };
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
    list_webhooks GET "/v1/webhooks" Access::Scope(Scope::WebhooksRead), "The webhooks, oldest first.";
    create_webhook POST "/v1/webhooks" Access::Scope(Scope::WebhooksWrite), "Create a webhook. Its secret is shown this once.";
    show_webhook GET "/v1/webhooks/{id}" Access::Scope(Scope::WebhooksRead), "One webhook.";
    update_webhook PATCH "/v1/webhooks/{id}" Access::Scope(Scope::WebhooksWrite), "Change the fields given of a webhook; pause it, or make it active again.";
    delete_webhook DELETE "/v1/webhooks/{id}" Access::Scope(Scope::WebhooksWrite), "Delete a webhook and what was kept of its deliveries.";
    test_webhook POST "/v1/webhooks/{id}/test" Access::Scope(Scope::WebhooksWrite), "Send a test to a webhook now, and tell what it answered.";
    rotate_webhook_secret POST "/v1/webhooks/{id}/rotate-secret" Access::Scope(Scope::WebhooksWrite), "Give a webhook a new secret; the old one signs too for an overlap.";
    list_deliveries GET "/v1/webhooks/{id}/deliveries" Access::Scope(Scope::WebhooksRead), "What was sent to a webhook, oldest first.";
    replay_failed_deliveries POST "/v1/webhooks/{id}/replay" Access::Scope(Scope::WebhooksWrite), "Send again all that failed since a time.";
    show_delivery GET "/v1/webhooks/deliveries/{id}" Access::Scope(Scope::WebhooksRead), "One delivery, with what was sent and what was answered at each attempt.";
    replay_delivery POST "/v1/webhooks/deliveries/{id}/replay" Access::Scope(Scope::WebhooksWrite), "Send a delivery again, as the same message.";
    forward_auth ANY "/v1/forward-auth" Access::AnyKey, "Tell a gateway whether to let its client in, and who it is.";
    list_grants GET "/oauth/grants" Access::Scope(Scope::KeysRead), "What users allowed to OAuth clients, oldest first.";
    revoke_grant DELETE "/oauth/grants/{id}" Access::Scope(Scope::KeysWrite), "End what a user allowed to a client; its tokens stop at once.";
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

// What OAuth clients call, by their own id and secret; refused in the shape of RFC 6749 (`src/http/oauth`).
operations! {
    OAUTH:
    issue_token POST "/oauth/token" Access::Client, "Tokens for a code, for a refresh token, or for the client itself.";
    revoke_token POST "/oauth/revoke" Access::Client, "Give a token back.";
    introspect_token POST "/oauth/introspect" Access::Client, "What a token is worth.";
    show_authorization_server GET "/.well-known/oauth-authorization-server" Access::Anyone, "The endpoints of OAuth, for clients that find them by themselves.";
    show_protected_resource GET "/.well-known/oauth-protected-resource" Access::Anyone, "Where clients get tokens for this API.";
}

// Opened in the browser of the user who is to allow a client: a page, and no call of a program.
operations! {
    OAUTH_PAGES:
    authorize GET "/oauth/authorize" Access::Anyone, "Ask a user, and come back to the client with a code.";
}
