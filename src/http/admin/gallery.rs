//! Every page, filled with sample data and written to `target/gallery`, to be looked at without a server.

use std::path::Path;

use askama::Template;
use jiff::tz::TimeZone;

use super::api_keys::*;
use super::confirm::ConfirmPage;
use super::overview::{Figure, OverviewPage, Step};
use super::settings::{AccountFacts, SettingsPage, THEMES};
use super::setup::{CodePage, GonePage, SetupPage, TypedSetup};
use super::sign_in::SignInPage;
use super::users::{Column, EditUserPage, TypedUser, UserPage, UsersPage};
use super::view::{KeyRow, Now, OldSecret, PageSize, Pages, Status, UserRow};
use crate::http::assets::AssetUrls;
use crate::http::docs::{DocsPage, ERRORS, ErrorDocPage, OperationRow};
use crate::http::page::{Banner, ErrorPage, FormErrors, Frame, Link, Look, Place, Who};
use crate::http::samples;
use crate::model::api_key::KeyStatus;
use crate::model::clock::Timestamp;
use crate::model::error::FieldErrors;

const SECRET: &str = "kr_7f3Qm9ZxT2bLw8RkVd5HnJc4YpAs6UeG0q1xZc2Wd8EfTgBh1a2B3c";

fn now() -> Now {
    Now { at: Timestamp::parse("2026-11-22T10:02:00Z").expect("a time"), zone: TimeZone::get("Europe/Berlin").expect("a zone") }
}

fn at(text: &str) -> super::view::Moment {
    now().moment(Timestamp::parse(text).expect("a time"))
}

fn frame(title: &str, place: Place) -> Frame {
    Frame {
        title: title.into(),
        place,
        who: Some(Who { name: "Ada Lovelace".into(), email: "ada@example.com".into(), is_admin: true }),
        csrf: "token".into(),
        look: Look::default(),
        assets: AssetUrls::current(),
        zone: "Europe/Berlin".into(),
        banner: None,
        plain_http: false,
        faulty: false,
        bare: false,
        reading: false,
    }
}

fn outside(title: &str) -> Frame {
    Frame { who: None, ..frame(title, Place::Elsewhere) }
}

fn errors(list: &[(&str, &str)]) -> FormErrors {
    let mut errors = FieldErrors::default();
    for (field, message) in list {
        errors.add(*field, "invalid", *message);
    }
    errors.into()
}

fn key(n: usize, name: &str, word: &'static str, tone: &'static str, state: KeyStatus) -> KeyRow {
    KeyRow {
        id: format!("key_01k9xq3v8ee8w9a4h5r2c6d7{n:02}"),
        name: name.into(),
        hint: format!("kr_…{:04x}", 0x4c6d + n * 977),
        owner: format!("user{n}@example.com"),
        owner_id: "user_01k9xq3v8ee8w9a4h5r2c6d7e8".into(),
        scopes: if n % 3 == 1 { "users:read, users:write, keys:read, keys:write".into() } else { "users:read".into() },
        status: Status { word, tone },
        state,
        enabled: state != KeyStatus::Disabled,
        created: at("2026-08-22T10:02:00Z"),
        expires: (n % 4 != 3).then(|| at("2027-02-20T10:02:00Z")),
        last_used: (n % 5 != 4).then(|| at("2026-11-22T10:01:00Z")),
        used_words: "Last used 4 s ago from 203.0.113.7 by python-requests/2.32".into(),
        revoked: None,
        ip_allow: vec!["203.0.113.0/24".into(), "2001:db8::/32".into()],
        old: None,
        can_extend: true,
    }
}

fn keys() -> Vec<KeyRow> {
    use KeyStatus::*;
    let rows = [
        ("billing-worker", "Active", "ok", Active),
        ("staging-ci", "Active", "ok", Active),
        ("mobile-backend", "Expires soon", "warn", Active),
        ("partner-acme", "Rotating", "warn", Rotating),
        ("nightly-export", "Disabled", "", Disabled),
        ("grafana-probe", "Expired", "bad", Expired),
        ("crm-sync", "Revoked", "bad", Revoked),
        ("old-monolith-with-a-rather-long-name-that-nobody-shortened", "Active", "ok", Active),
    ];
    rows.iter().enumerate().map(|(n, row)| key(n, row.0, row.1, row.2, row.3)).collect()
}

fn pages() -> Pages {
    Pages {
        previous: Some("?before=x".into()),
        next: Some("?after=x".into()),
        words: "26–50 of 212".into(),
        size: 25,
        sizes: [25, 50, 100].map(|count| PageSize { count, href: format!("?limit={count}") }).into(),
    }
}

fn choice(value: &'static str, words: &str, hint: &str) -> Choice {
    Choice { value, words: words.into(), hint: hint.into(), current: false }
}

fn user() -> UserRow {
    UserRow {
        id: "user_01k9xq3v8ee8w9a4h5r2c6d7e8".into(),
        name: "Grace Hopper".into(),
        email: "grace@example.com".into(),
        role: "Member",
        account: "Default".into(),
        status: Status { word: "Active", tone: "ok" },
        active: true,
        created: at("2026-08-22T10:02:00Z"),
        updated: at("2026-11-20T10:02:00Z"),
    }
}

fn new_key(errors: FormErrors) -> NewKeyPage {
    let row = |resource, read, write| ScopeRow {
        resource,
        cells: vec![ScopeCell { scope: read, checked: read == "users:read" }, ScopeCell { scope: write, checked: false }],
    };
    NewKeyPage {
        frame: frame("Generate New Key", Place::OwnKeys).faulty(&errors),
        realm: Realm::Own,
        typed: TypedKey {
            name: "My first key".into(),
            preset: "custom".into(),
            expires: "date".into(),
            ip_allow: if errors.is_empty() { String::new() } else { "203.0.113.0/24\n10.0.0.300".into() },
            ..TypedKey::default()
        },
        errors,
        nonce: "nonce".into(),
        presets: vec![
            choice("read", "Read only", "Reads users, API keys and webhooks."),
            choice("write", "Full", "Reads and changes users, API keys and webhooks."),
            choice("custom", "Custom scopes", "Choose each one."),
        ],
        scope_rows: vec![
            row("Users", "users:read", "users:write"),
            row("API keys", "keys:read", "keys:write"),
            row("Webhooks", "webhooks:read", "webhooks:write"),
        ],
        withheld: "admin and audit:read, which only an administrator's key may hold".into(),
        expiries: vec![
            choice("30d", "30 days, on Tue 22 Dec 2026", ""),
            choice("date", "On a date", ""),
            choice("never", "Never", ""),
        ],
        your_address: "203.0.113.7".into(),
        limits: "the account Default: 50/1s, 1000/1h".into(),
    }
}

fn secret(result: Option<TestResult>) -> SecretPage {
    SecretPage {
        frame: frame("Copy and securely store your key", Place::OwnKeys),
        realm: Realm::Own,
        id: "key_1".into(),
        name: "billing-worker".into(),
        headline: "Key generated".into(),
        told: "billing-worker is active now. Copy the secret before you leave this page: Keyrack keeps only a hash and cannot show it again.".into(),
        secret: SECRET.into(),
        samples: samples::first_request("https://keys.example.com", SECRET),
        result,
    }
}

fn save(name: &str, page: &impl Template) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gallery");
    std::fs::create_dir_all(&dir).expect("a folder");
    let html = page.render().expect("a page");
    assert!(!html.contains("style=\"") && !html.contains("onclick"), "{name}: nothing inline");
    std::fs::write(dir.join(format!("{name}.html")), html).expect("a file");
}

#[test]
fn every_page_renders() {
    save(
        "sign-in",
        &SignInPage { frame: outside("Sign in"), errors: FormErrors::default(), email: String::new(), next: String::new() },
    );
    let wrong = errors(&[("", "The email address or the password is not right.")]);
    save(
        "sign-in-wrong",
        &SignInPage {
            frame: outside("Sign in").faulty(&wrong),
            errors: wrong,
            email: "ada@example.com".into(),
            next: "/admin".into(),
        },
    );
    let wrong = errors(&[
        ("email", "Enter an email address, for example ada@example.com."),
        ("password", "Password must be at least 8 characters long."),
    ]);
    let typed = TypedSetup { email: "ada".into(), time_zone: "UTC".into(), public_url: "http://127.0.0.1:8080".into() };
    save(
        "setup",
        &SetupPage {
            frame: outside("Create the first admin").faulty(&wrong),
            errors: wrong,
            typed,
            until: "14:32 UTC".into(),
            asks_zone: true,
            asks_url: true,
        },
    );
    save("setup-code", &CodePage { frame: outside("Set up this server"), errors: FormErrors::default(), code: String::new() });
    save(
        "setup-expired",
        &GonePage {
            frame: outside("This setup link has expired"),
            what: "It was good until 14:32 UTC. Make a new one on the server:".into(),
            set_up: false,
        },
    );

    let step = |done, words, hint: &str| Step { done, words, hint: hint.into(), href: "/settings" };
    save(
        "overview",
        &OverviewPage {
            frame: frame("Overview", Place::Overview),
            summary: "Keyrack 0.1.0 at https://keys.example.com".into(),
            steps: vec![
                step(true, "Create the first admin", "You are ada@example.com."),
                step(true, "Generate the first key", "Programs sign in with it."),
                step(false, "Make the first request", "The page of a key shows the command."),
                step(false, "Serve it over HTTPS", "A key sent in the clear can be read by others."),
            ],
            done_count: 2,
            figures: vec![
                Figure { label: "Users", value: "1,204".into(), href: "/admin/users" },
                Figure { label: "API keys", value: "212".into(), href: "/admin/keys" },
            ],
            waiting: true,
            base_url: "https://keys.example.com".into(),
            recent: keys().into_iter().take(3).collect(),
        },
    );
    let account = AccountFacts {
        name: "Ada Lovelace".into(),
        email: "ada@example.com".into(),
        role: "Admin",
        account: "Default".into(),
        keys: "3 keys".into(),
    };
    save("settings", &SettingsPage { frame: frame("Settings", Place::Settings), account, themes: THEMES });

    let list = |realm, keys, filter| KeysPage {
        frame: frame("API keys", if realm == Realm::Own { Place::OwnKeys } else { Place::Keys }),
        realm,
        summary: "25 of 212 keys. Secrets are shown once, when a key is generated.".into(),
        filter,
        keys,
        pages: pages(),
        base_url: "https://keys.example.com".into(),
    };
    let filter = |words: &str| Filter {
        q: String::new(),
        can_search: true,
        statuses: vec![choice("", "Any", ""), choice("active", "Active", "")],
        words: words.into(),
    };
    save("keys", &list(Realm::All, keys(), filter("")));
    save("keys-none-match", &list(Realm::All, vec![], filter("status: expired")));
    save("keys-empty", &KeysPage { pages: Pages::default(), ..list(Realm::Own, vec![], Filter::default()) });
    save("key-new", &new_key(FormErrors::default()));
    save(
        "key-new-wrong",
        &new_key(errors(&[("name", "Enter a name."), ("ip_allow", "Entry 2, `10.0.0.300`, is no address or network.")])),
    );
    save("key-secret", &secret(None));
    save(
        "key-secret-tested",
        &secret(Some(TestResult { tone: "ok", words: "200 OK. The key works, as ada@example.com.".into() })),
    );
    save(
        "key-again",
        &AgainPage {
            frame: frame("Already generated", Place::OwnKeys),
            realm: Realm::Own,
            id: "key_1".into(),
            name: "billing-worker".into(),
        },
    );
    let show = |row| KeyPage {
        frame: frame("billing-worker", Place::Keys),
        realm: Realm::All,
        row,
        summary: "API key of ada@example.com".into(),
        limits: "the account Default: 50/1s, 1000/1h".into(),
        base_url: "https://keys.example.com".into(),
    };
    let rotating = || KeyRow {
        old: Some(OldSecret {
            hint: "kr_…4c6d".into(),
            ends: at("2026-11-23T10:02:00Z"),
            still_used: Some(at("2026-11-22T09:59:00Z")),
            from: " from 203.0.113.7 by python-requests/2.32".into(),
        }),
        ..key(3, "billing-worker", "Rotating", "warn", KeyStatus::Rotating)
    };
    save("key-rotating", &show(rotating()));
    save(
        "key-unused",
        &KeyPage {
            frame: frame("staging-ci", Place::Keys)
                .with_banner(Some(Banner::ok("Enabled", "The key is accepted again from now on."))),
            ..show(key(4, "staging-ci", "Active", "ok", KeyStatus::Active))
        },
    );
    save(
        "key-rotate",
        &RotatePage {
            frame: frame("Rotate billing-worker", Place::Keys),
            realm: Realm::All,
            errors: FormErrors::default(),
            row: rotating(),
            nonce: "nonce".into(),
            typed: TypedRotation { overlap: "24h".into(), hours: String::new() },
            overlaps: vec![
                choice("0s", "Not at all", "Whatever still uses the old secret stops at once."),
                choice("24h", "24 hours", "Until Mon 23 Nov 2026 10:02 UTC."),
                choice("custom", "Another time", ""),
            ],
        },
    );
    let confirm = |title: &str, act, lines: &[&str], typed_name: &str, instead| ConfirmPage {
        frame: frame(title, Place::Keys),
        errors: FormErrors::default(),
        back: "/admin/keys/key_1".into(),
        back_words: "billing-worker".into(),
        action: "/admin/keys/key_1/revoke".into(),
        lines: lines.iter().map(ToString::to_string).collect(),
        facts: vec![("Owner", "ada@example.com".into()), ("Last used", "4 s ago".into())],
        instead,
        typed_label: "Type the name of the key",
        typed_name: typed_name.into(),
        typed: String::new(),
        act,
        final_act: true,
    };
    save(
        "key-revoke",
        &confirm(
            "Revoke billing-worker",
            "Revoke key",
            &["Programs that use it get 401 from this moment. A revoked key cannot be brought back."],
            "billing-worker",
            None,
        ),
    );
    save(
        "user-delete",
        &confirm(
            "Delete Grace Hopper",
            "Delete user",
            &["Their keys and sessions stop at once."],
            "",
            Some(Link { href: "/".into(), words: "Disable instead: it can be undone".into() }),
        ),
    );

    let column = |words, href: &str, sorted| Column { words, href: href.into(), sorted };
    save(
        "users",
        &UsersPage {
            frame: frame("Users", Place::Users),
            summary: "1,204 users".into(),
            q: String::new(),
            sort: "created_at".into(),
            sort_is_set: false,
            order_words: "Newest first",
            columns: vec![
                column("Name", "", ""),
                column("Email", "", ""),
                column("Role", "", ""),
                column("Account", "", ""),
                column("Created", "?sort=created_at", "descending"),
                column("Status", "", ""),
            ],
            users: (0..6).map(|_| user()).collect(),
            pages: pages(),
        },
    );
    save(
        "user",
        &UserPage { frame: frame("Grace Hopper", Place::Users), user: user(), keys: keys().into_iter().take(2).collect() },
    );
    let taken = errors(&[("email", "Email address is already in use.")]);
    save(
        "user-new",
        &EditUserPage {
            frame: frame("Add user", Place::Users).faulty(&taken),
            errors: taken,
            typed: TypedUser { name: "Grace".into(), email: "grace@example.com".into(), role: "member".into() },
            action: "/admin/users".into(),
            back: "/admin/users".into(),
            back_words: "Users".into(),
            is_new: true,
            taken_by: Some("user_1".into()),
        },
    );

    let operation = |request: &str, words: &str, scope: &str| OperationRow {
        request: request.into(),
        words: words.into(),
        scope: scope.into(),
    };
    let operations = vec![
        operation("GET /v1/users", "List users", "users:read"),
        operation("POST /v1/keys/{id}/rotate", "Give a key a new secret", "keys:write"),
    ];
    save(
        "docs",
        &DocsPage {
            frame: frame("API reference", Place::Docs),
            samples: samples::first_request("https://keys.example.com", "YOUR_API_KEY"),
            operations,
            errors: ERRORS,
        },
    );
    let error = &ERRORS[0];
    save(
        "docs-error",
        &ErrorDocPage {
            frame: Frame { reading: true, ..outside("missing_api_key") },
            error,
            body: "{\n  \"error\": \"missing_api_key\"\n}".into(),
            related: error.related,
        },
    );
    save(
        "error",
        &ErrorPage {
            frame: Frame { reading: true, ..outside("Page not found") },
            what: "There is nothing at this path.".into(),
            next: "Check the address, or begin again at the start.".into(),
            link: None,
            status: 404,
            request_id: "req_01k9xq3v8ee8w9a4h5r2c6d7e8".into(),
        },
    );
}
