//! The pages: sign-in, first set-up, one's own settings, and the dashboard of administrators.

mod accounts;
mod admin_security;
mod api_keys;
mod audit;
mod backup;
mod chart;
mod confirm;
mod connected_apps;
mod conventions;
mod go;
mod invitation;
mod network;
mod notices;
mod oauth_clients;
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
mod webhooks;

use actix_web::web::{ServiceConfig, resource};

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(resource("/").get(sign_in::start))
        .service(resource("/status").get(status::show))
        .service(resource("/sign-in").get(sign_in::show).post(sign_in::sign_in))
        .service(resource("/sign-in/code").get(sign_in::show_code).post(sign_in::enter_code))
        .service(resource("/sign-out").post(sign_in::sign_out))
        .service(resource("/setup").get(setup::ask).post(setup::enter))
        .service(resource("/setup/{code}").get(setup::show).post(setup::finish))
        .service(resource("/invite/{code}").get(invitation::show).post(invitation::follow))
        .service(resource("/settings").get(settings::show))
        .service(resource("/go").get(go::go))
        .service(resource("/settings/usage").get(usage::own))
        .service(resource("/admin/accounts/{id}/usage").get(usage::of_account))
        .service(resource("/settings/look").post(settings::look))
        .service(resource("/settings/time-zone").post(settings::time_zone))
        .service(resource("/settings/security").get(security::show))
        .service(resource("/settings/security/password").post(security::change_password))
        .service(resource("/settings/security/second-factor").post(security::second_factor::begin))
        .service(resource("/settings/security/second-factor/confirm").post(security::second_factor::confirm))
        .service(resource("/settings/security/second-factor/remove").post(security::second_factor::remove))
        .service(resource("/settings/security/recovery-codes").post(security::second_factor::renew_codes))
        .service(resource("/settings/security/recovery-codes/download").post(security::second_factor::download))
        .service(resource("/admin/settings/security").get(admin_security::show).post(admin_security::save))
        .service(resource("/settings/security/sessions/end-others").post(security::end_other_sessions))
        .service(resource("/settings/security/sessions/{id}/end").post(security::end_session))
        .service(resource("/settings/connected-apps").get(connected_apps::list))
        .service(resource("/settings/connected-apps/{id}/revoke").get(connected_apps::ask_own).post(connected_apps::revoke_own))
        .service(resource("/admin/clients").get(oauth_clients::list).post(oauth_clients::create))
        .service(resource("/admin/clients/new").get(oauth_clients::new))
        .service(resource("/admin/clients/{id}").get(oauth_clients::show))
        .service(resource("/admin/clients/{id}/edit").get(oauth_clients::edit).post(oauth_clients::update))
        .service(resource("/admin/clients/{id}/rotate").get(oauth_clients::show_rotate).post(oauth_clients::rotate))
        .service(resource("/admin/clients/{id}/end-old").get(oauth_clients::show_end_old).post(oauth_clients::end_old))
        .service(resource("/admin/clients/{id}/delete").get(oauth_clients::show_delete).post(oauth_clients::delete))
        .service(resource("/admin/clients/{id}/try").get(oauth_clients::show_try).post(oauth_clients::start_try))
        .service(resource("/admin/clients/{id}/tried").get(oauth_clients::tried))
        .service(resource("/admin/grants/{id}/revoke").get(connected_apps::ask).post(connected_apps::revoke))
        .service(resource("/admin").get(overview::show))
        .service(resource("/admin/getting-started/dismiss").post(overview::dismiss_start))
        .service(resource("/admin/notices/{id}/dismiss").post(notices::dismiss))
        .service(resource("/admin/audit").get(audit::list))
        .service(resource("/admin/audit/export").get(audit::export))
        .service(resource("/admin/audit/check").post(audit::check))
        .service(resource("/admin/audit/{id}").get(audit::show))
        .service(resource("/admin/requests").get(requests::list))
        .service(resource("/admin/requests/live").get(requests::live))
        .service(resource("/admin/requests/{id}").get(requests::show))
        .service(resource("/admin/settings/api-conventions").get(conventions::show))
        .service(resource("/admin/settings/api-conventions/{dialect}").get(conventions::ask).post(conventions::switch))
        .service(resource("/admin/settings/backup").get(backup::show).post(backup::make))
        .service(resource("/admin/settings/backup/{name}/verify").post(backup::verify))
        .service(resource("/admin/settings/backup/{name}/download").post(backup::download))
        .service(resource("/admin/settings/network").get(network::show))
        .service(resource("/admin/webhooks").get(webhooks::list).post(webhooks::create))
        .service(resource("/admin/webhooks/new").get(webhooks::new))
        .service(resource("/admin/webhooks/deliveries/{id}").get(webhooks::show_delivery))
        .service(resource("/admin/webhooks/deliveries/{id}/replay").post(webhooks::replay))
        .service(resource("/admin/webhooks/{id}").get(webhooks::show))
        .service(resource("/admin/webhooks/{id}/edit").get(webhooks::edit).post(webhooks::update))
        .service(resource("/admin/webhooks/{id}/test").post(webhooks::test))
        .service(resource("/admin/webhooks/{id}/pause").post(webhooks::pause))
        .service(resource("/admin/webhooks/{id}/resume").post(webhooks::resume))
        .service(resource("/admin/webhooks/{id}/rotate").get(webhooks::show_rotate).post(webhooks::rotate))
        .service(resource("/admin/webhooks/{id}/replay").get(webhooks::show_replay_failed).post(webhooks::replay_failed))
        .service(resource("/admin/webhooks/{id}/delete").get(webhooks::show_delete).post(webhooks::delete))
        .service(resource("/admin/tiers").get(tiers::list).post(tiers::create))
        .service(resource("/admin/tiers/new").get(tiers::new))
        .service(resource("/admin/tiers/{name}/edit").get(tiers::edit).post(tiers::update))
        .service(resource("/admin/tiers/{name}/delete").get(tiers::show_delete).post(tiers::delete))
        .service(resource("/admin/users").get(users::list).post(users::create))
        .service(resource("/admin/users/new").get(users::new))
        .service(resource("/admin/users/bulk").get(users::ask_for_many).post(users::act_on_many))
        .service(resource("/admin/users/export").get(users::export))
        .service(resource("/admin/users/import").get(users::import_form).post(users::import_upload))
        .service(resource("/admin/users/import/{code}").get(users::import_preview).post(users::import))
        .service(resource("/admin/users/import/{code}/rejected").get(users::import_rejected))
        .service(resource("/admin/users/{id}").get(users::show))
        .service(resource("/admin/users/{id}/keys").get(users::keys))
        .service(resource("/admin/users/{id}/sessions").get(users::sessions))
        .service(resource("/admin/users/{id}/sessions/end").post(users::end_sessions))
        .service(resource("/admin/users/{id}/activity").get(users::activity))
        .service(resource("/admin/users/{id}/link").get(users::show_give).post(users::give))
        .service(resource("/admin/users/{id}/link/withdraw").get(users::show_withdraw).post(users::withdraw))
        .service(resource("/admin/users/{id}/edit").get(users::edit).post(users::update))
        .service(resource("/admin/users/{id}/disable").get(users::show_disable).post(users::disable))
        .service(resource("/admin/users/{id}/enable").get(users::show_enable).post(users::enable))
        .service(resource("/admin/users/{id}/delete").get(users::show_delete).post(users::delete));
    cfg.service(resource("/admin/accounts").get(accounts::list).post(accounts::create))
        .service(resource("/admin/accounts/new").get(accounts::new))
        .service(resource("/admin/accounts/{id}").get(accounts::show))
        .service(resource("/admin/accounts/{id}/edit").get(accounts::edit).post(accounts::update))
        .service(resource("/admin/accounts/{id}/limits").get(accounts::show_limits).post(accounts::set_limits))
        .service(resource("/admin/accounts/{id}/limits/remove").get(accounts::show_take_limits).post(accounts::take_limits))
        .service(resource("/admin/accounts/{id}/suspend").get(accounts::show_suspend).post(accounts::suspend))
        .service(resource("/admin/accounts/{id}/resume").get(accounts::show_resume).post(accounts::resume))
        .service(resource("/admin/accounts/{id}/delete").get(accounts::show_delete).post(accounts::delete));
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
