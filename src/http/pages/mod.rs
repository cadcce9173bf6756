//! The pages: sign-in, first set-up, one's own settings, and the dashboard of administrators.

mod api_keys;
mod audit;
mod chart;
mod confirm;
mod conventions;
mod go;
mod notices;
mod overview;
mod requests;
mod security;
mod settings;
mod setup;
mod sign_in;
mod status;
mod tiers;
mod usage;
mod users;
mod view;

use actix_web::web::{ServiceConfig, resource};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/").get(sign_in::start))
        .service(resource("/status").get(status::show))
        .service(resource("/sign-in").get(sign_in::show).post(sign_in::sign_in))
        .service(resource("/sign-out").post(sign_in::sign_out))
        .service(resource("/setup").get(setup::ask).post(setup::enter))
        .service(resource("/setup/{code}").get(setup::show).post(setup::finish))
        .service(resource("/settings").get(settings::show))
        .service(resource("/go").get(go::go))
        .service(resource("/settings/usage").get(usage::own))
        .service(resource("/admin/accounts/{id}/usage").get(usage::of_account))
        .service(resource("/settings/look").post(settings::look))
        .service(resource("/settings/time-zone").post(settings::time_zone))
        .service(resource("/settings/security").get(security::show))
        .service(resource("/settings/security/password").post(security::change_password))
        .service(resource("/settings/security/sessions/end-others").post(security::end_other_sessions))
        .service(resource("/settings/security/sessions/{id}/end").post(security::end_session))
        .service(resource("/admin").get(overview::show))
        .service(resource("/admin/getting-started/dismiss").post(overview::dismiss_start))
        .service(resource("/admin/notices/{id}/dismiss").post(notices::dismiss))
        .service(resource("/admin/audit").get(audit::list))
        .service(resource("/admin/audit/export").get(audit::export))
        .service(resource("/admin/audit/{id}").get(audit::show))
        .service(resource("/admin/requests").get(requests::list))
        .service(resource("/admin/requests/live").get(requests::live))
        .service(resource("/admin/requests/{id}").get(requests::show))
        .service(resource("/admin/settings/api-conventions").get(conventions::show))
        .service(resource("/admin/settings/api-conventions/{dialect}").get(conventions::ask).post(conventions::switch))
        .service(resource("/admin/tiers").get(tiers::list).post(tiers::create))
        .service(resource("/admin/tiers/new").get(tiers::new))
        .service(resource("/admin/tiers/{name}/edit").get(tiers::edit).post(tiers::update))
        .service(resource("/admin/tiers/{name}/delete").get(tiers::show_delete).post(tiers::delete))
        .service(resource("/admin/users").get(users::list).post(users::create))
        .service(resource("/admin/users/new").get(users::new))
        .service(resource("/admin/users/{id}").get(users::show))
        .service(resource("/admin/users/{id}/edit").get(users::edit).post(users::update))
        .service(resource("/admin/users/{id}/disable").get(users::show_disable).post(users::disable))
        .service(resource("/admin/users/{id}/enable").get(users::show_enable).post(users::enable))
        .service(resource("/admin/users/{id}/delete").get(users::show_delete).post(users::delete));
    for realm in [api_keys::Realm::Own, api_keys::Realm::All] {
        let at = |path: &str| resource(format!("{}{path}", realm.base()));
        cfg.service(at("").get(api_keys::list).post(api_keys::create))
            .service(at("/new").get(api_keys::new))
            .service(at("/env").post(api_keys::download))
            .service(at("/test").post(api_keys::test))
            .service(at("/{id}").get(api_keys::show))
            .service(at("/{id}/edit").get(api_keys::edit).post(api_keys::update))
            .service(at("/{id}/rotate").get(api_keys::show_rotate).post(api_keys::rotate))
            .service(at("/{id}/end-old").get(api_keys::show_end_old).post(api_keys::end_old))
            .service(at("/{id}/extend").post(api_keys::extend))
            .service(at("/{id}/disable").get(api_keys::show_disable).post(api_keys::disable))
            .service(at("/{id}/enable").get(api_keys::show_enable).post(api_keys::enable))
            .service(at("/{id}/revoke").get(api_keys::show_revoke).post(api_keys::revoke));
    }
}
