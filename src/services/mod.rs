//! The verbs of Keyrack: who may, the rule, the transaction, and what follows from it. HTTP and the command line both
//! call these; nothing here knows which of them did.

pub mod accounts;
pub mod api_keys;
pub mod audit;
mod authorize;
pub mod backups;
pub mod bulk;
pub mod certificates;
pub mod credentials;
pub mod devices;
pub mod export;
pub mod forms;
pub mod go;
pub mod grants;
mod guess;
pub mod health;
pub mod idempotency;
pub mod import;
pub mod import_users;
pub mod maintenance;
pub mod metrics;
pub mod notices;
pub mod oauth;
pub mod oauth_clients;
pub mod password_links;
pub mod passwords;
pub mod requests;
pub mod second_factor;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod tiers;
pub mod usage;
pub mod users;
pub mod verify;
pub mod webhooks;
