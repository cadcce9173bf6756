//! Contract 5: the users API.

use keyrack::model::scope::Scope::{KeysRead, UsersRead, UsersWrite};
use keyrack::model::user::{Role, UserStatus};
use serde_json::{Value, json};

use crate::support::{Client, SECOND, TestServer};

fn charlie() -> Value {
    json!({ "name": "Charlie Chaplin", "email": "charlie@example.com", "password": "securepassword123" })
}

/// The same body with some fields changed; `null` takes one away.
fn charlie_but(changes: Value) -> Value {
    let mut body = charlie();
    for (field, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(body.as_object_mut().expect("an object").remove(field)),
            value => body[field] = value.clone(),
        }
    }
    body
}

async fn editor(server: &TestServer) -> Client {
    server.key(&[UsersRead, UsersWrite]).await
}

/// A key whose account has this many users besides its owner; gives their ids, oldest first, the owner's before them.
async fn directory(server: &TestServer, others: usize) -> (Client, Vec<String>) {
    let key = editor(server).await;
    let mut ids = vec![key.user().id.to_string()];
    for _ in 0..others {
        ids.push(server.colleague_of(key.user()).await.id.to_string());
    }
    (key, ids)
}

#[tokio::test]
async fn a_user_is_created_read_changed_and_deleted() {
    let server = TestServer::start().await;
    let key = editor(&server).await;

    let created = key.post("/v1/users", charlie()).await.expect(201);
    let user = created.json();
    let path = created.header("location").to_owned();
    assert_eq!(path, format!("/v1/users/{}", user["id"].as_str().expect("an id")));
    assert_eq!(user["role"], "member");

    assert_eq!(key.get(&path).await.expect(200).json(), user);
    let changed = key.put(&path, json!({ "name": "Charles Chaplin", "email": "charlie.c@example.com" })).await.expect(200);
    assert_eq!(changed.json()["name"], "Charles Chaplin");
    let deleted = key.delete(&path).await.expect(204);
    assert_eq!(deleted.text, "");
    key.get(&path).await.expect(404);
}

#[tokio::test]
async fn a_user_has_exactly_the_fields_of_the_contract() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let created = key.post("/v1/users", charlie()).await.expect(201).json();
    let expected = json!({
        "id": created["id"], "name": "Charlie Chaplin", "email": "charlie@example.com",
        "account_id": key.user().account_id.to_string(), "role": "member", "status": "active",
        "created_at": "2026-11-22T10:00:00Z", "updated_at": "2026-11-22T10:00:00Z",
    });
    assert_eq!(created, expected);
}

#[tokio::test]
async fn a_password_leaves_in_no_form() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let created = key.post("/v1/users", charlie()).await.expect(201);
    let path = created.header("location").to_owned();
    let changed = key.patch(&path, json!({ "password": "anothersecret456" })).await.expect(200);
    let shown = [created, changed, key.get(&path).await, key.get("/v1/users").await];
    for reply in shown {
        for trace in ["password", "securepassword123", "anothersecret456", "argon2"] {
            assert!(!reply.text.contains(trace), "{trace} in {}", reply.text);
        }
    }
}

#[tokio::test]
async fn an_unknown_id_and_one_that_cannot_exist_are_both_404() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for id in ["user_01h455vb4pex5vsknk084sn02q", "123", "user_abc123", "%00", "..%2f", "key_01h455vb4pex5vsknk084sn02q"] {
        let path = format!("/v1/users/{id}");
        for reply in [key.get(&path).await, key.patch(&path, json!({ "name": "X" })).await, key.delete(&path).await] {
            assert_eq!((reply.status, reply.error().as_str()), (404, "not_found"), "{path}: {}", reply.text);
        }
    }
}

// Lists.

#[tokio::test]
async fn a_list_is_a_bare_array_oldest_first_of_twenty_with_its_total() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 24).await;
    let list = key.get("/v1/users").await.expect(200);
    assert_eq!(list.ids(), ids[..20]);
    assert_eq!(list.header("x-total-count"), "25");
}

#[tokio::test]
async fn limit_and_offset_cut_the_page_that_they_name() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 4).await;
    assert_eq!(key.get("/v1/users?limit=2&offset=0").await.ids(), ids[..2]);
    assert_eq!(key.get("/v1/users?limit=2&offset=3").await.ids(), ids[3..]);
    assert_eq!(key.get("/v1/users?limit=100&offset=1").await.ids(), ids[1..]);
    assert_eq!(key.get("/v1/users?offset=1000000").await.expect(200).ids(), [""; 0]);
}

#[tokio::test]
async fn a_limit_or_offset_out_of_range_is_refused_and_never_clamped() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for limit in ["0", "101", "abc", "-1", "", "1.5", "1e9", "99999999999999999999"] {
        let refused = key.get(&format!("/v1/users?limit={limit}")).await.expect(400);
        assert_eq!(refused.error(), "validation_error");
        assert_eq!(refused.message(), "`limit` must be a whole number from 1 to 100.", "limit={limit}");
    }
    for offset in ["-1", "abc", "", "1000001", "18446744073709551616"] {
        let refused = key.get(&format!("/v1/users?offset={offset}")).await.expect(400);
        assert_eq!(refused.problems(), [("offset".into(), "out_of_range".into())], "offset={offset}");
    }
}

#[tokio::test]
async fn after_and_before_keep_the_order_of_the_list() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 5).await;
    let list = async |query: String| key.get(&format!("/v1/users?{query}")).await.expect(200).ids();

    assert_eq!(list(format!("limit=2&after={}", ids[1])).await, ids[2..4]);
    assert_eq!(list(format!("limit=2&before={}", ids[4])).await, ids[2..4]);

    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(list("sort=-created_at".into()).await, newest_first);
    assert_eq!(list(format!("sort=-created_at&limit=2&after={}", newest_first[1])).await, newest_first[2..4]);
    assert_eq!(list(format!("sort=-created_at&limit=2&before={}", newest_first[4])).await, newest_first[2..4]);
}

#[tokio::test]
async fn a_page_after_a_deleted_row_goes_on_where_it_stood() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 3).await;
    key.delete(&format!("/v1/users/{}", ids[1])).await.expect(204);
    assert_eq!(key.get(&format!("/v1/users?after={}", ids[1])).await.expect(200).ids(), ids[2..]);
}

#[tokio::test]
async fn only_one_place_to_begin_can_be_named_and_a_cursor_must_be_an_id() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 1).await;
    let both = key.get(&format!("/v1/users?after={}&offset=1", ids[0])).await.expect(400);
    assert_eq!(both.problems(), [("offset".into(), "conflict".into())]);
    for cursor in ["abc", "", "key_01h455vb4pex5vsknk084sn02q", "0"] {
        let refused = key.get(&format!("/v1/users?after={cursor}")).await.expect(400);
        assert_eq!(refused.problems(), [("after".into(), "invalid_cursor".into())], "{cursor}");
    }
    key.get("/v1/users?sort=name").await.expect(400);
    key.get("/v1/users?limit=1&limit=2").await.expect(400);
}

#[tokio::test]
async fn the_next_links_lead_through_the_whole_list_and_the_prev_links_back() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 4).await;
    for start in ["/v1/users?limit=2".to_owned(), format!("/v1/users?limit=2&after={}", ids[0])] {
        let mut page = key.get(&start).await.expect(200);
        let mut seen = page.ids();
        while let Some(next) = page.link("next") {
            page = key.get(&next).await.expect(200);
            seen.extend(page.ids());
        }
        assert!(ids.ends_with(&seen), "{start}: {seen:?}");
        assert_eq!(seen.last(), ids.last());

        let mut first = page.ids();
        while let Some(prev) = page.link("prev") {
            page = key.get(&prev).await.expect(200);
            first = page.ids();
        }
        assert_eq!(first.first(), ids.first(), "{start}");
        assert_eq!(key.get(&page.link("first").expect("a link")).await.ids(), ids[..2]);
    }
}

#[tokio::test]
async fn links_repeat_the_filters_and_are_absolute() {
    let server = TestServer::start().await;
    let (key, _) = directory(&server, 3).await;
    let page = key.get("/v1/users?limit=1&q=ada%20&sort=-created_at").await.expect(200);
    assert!(page.header("link").starts_with(&format!("<http://{}/v1/users?", server.addr)), "{}", page.header("link"));
    assert_eq!(page.link("next").as_deref(), Some("/v1/users?limit=1&q=ada+&sort=-created_at&offset=1"));
}

#[tokio::test]
async fn a_total_is_told_only_where_nothing_is_filtered() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 2).await;
    assert_eq!(key.get(&format!("/v1/users?after={}", ids[0])).await.header("x-total-count"), "3");
    assert!(key.get("/v1/users?q=ada").await.headers.get("x-total-count").is_none());
    key.delete(&format!("/v1/users/{}", ids[1])).await.expect(204);
    assert_eq!(key.get("/v1/users").await.header("x-total-count"), "2");
}

#[tokio::test]
async fn a_list_is_narrowed_by_email_whatever_its_case() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let created = key.post("/v1/users", charlie()).await.expect(201).json();
    let found = key.get("/v1/users?email=CHARLIE%40Example.Com").await.expect(200);
    assert_eq!(found.ids(), [created["id"].as_str().expect("an id")]);
    assert_eq!(key.get("/v1/users?email=nobody%40example.com").await.expect(200).ids(), [""; 0]);
    key.get("/v1/users?email=nonsense").await.expect(400);
    // A client whose variable is empty must not get everyone.
    assert_eq!(key.get("/v1/users?email=").await.expect(400).error(), "validation_error");
    key.get("/v1/users?q=").await.expect(200);
}

#[tokio::test]
async fn q_finds_the_start_of_a_name_or_email_or_a_whole_id() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 1).await;
    let created = key.post("/v1/users", charlie_but(json!({ "name": "Émile Zola" }))).await.expect(201).json();
    let id = created["id"].as_str().expect("an id").to_owned();
    for q in ["ÉMILE", "e%CC%81mile%20z", "CHARLIE%40", "charlie", id.as_str(), &id.to_uppercase()] {
        assert_eq!(key.get(&format!("/v1/users?q={q}")).await.expect(200).ids(), [id.as_str()], "{q}");
    }
    for q in ["zola", "%25", "_", "example.com", "%27%20OR%201=1", &id[..20], "%F4%8F%BF%BF"] {
        assert_eq!(key.get(&format!("/v1/users?q={q}")).await.expect(200).ids(), [""; 0], "{q}");
    }
    assert_eq!(key.get("/v1/users?q=ada%20love").await.ids(), ids);
}

#[tokio::test]
async fn a_list_is_narrowed_by_time_of_creation() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let own = key.user().id.to_string();
    server.advance(60 * SECOND);
    let later = server.colleague_of(key.user()).await.id.to_string();

    assert_eq!(key.get("/v1/users?created_after=2026-11-22T10:00:30Z").await.expect(200).ids(), [&*later]);
    assert_eq!(key.get("/v1/users?created_before=2026-11-22T11:00:30%2B01:00").await.expect(200).ids(), [&*own]);
    assert_eq!(
        key.get("/v1/users?created_after=2026-11-22T09:00:00Z&created_before=2027-01-01T00:00:00Z").await.ids(),
        [own, later]
    );
    assert!(key.get("/v1/users?created_after=9999-12-31T23:59:59Z").await.expect(200).ids().is_empty());
    assert_eq!(key.get("/v1/users?created_before=9999-12-31T23:59:59Z").await.expect(200).ids().len(), 2);
    for time in ["yesterday", "9999-12-31", "9999-12-31T24:00:00Z", "2026-11-22", "1700000000", "2026-13-01T00:00:00Z"] {
        let refused = key.get(&format!("/v1/users?created_after={time}")).await.expect(400);
        assert_eq!(refused.problems(), [("created_after".into(), "invalid_time".into())], "{time}");
    }
}

#[tokio::test]
async fn a_key_lists_its_own_account_and_an_admins_key_all_of_them() {
    let server = TestServer::start().await;
    let (key, ids) = directory(&server, 1).await;
    let (_, others) = directory(&server, 1).await;
    let admin = server.admin().await;
    assert_eq!(key.get("/v1/users").await.ids(), ids);
    let all = admin.get("/v1/users").await;
    assert_eq!(all.ids(), [ids, others, vec![admin.user().id.to_string()]].concat());
    assert_eq!(all.header("x-total-count"), "5");
}

// Who one is.

#[tokio::test]
async fn me_is_the_owner_of_the_key_whatever_its_scopes() {
    let server = TestServer::start().await;
    let key = server.key(&[KeysRead]).await;
    let me = key.get("/v1/users/me").await.expect(200).json();
    assert_eq!(me["id"], key.user().id.to_string());
    assert_eq!(me["email"], key.user().email);
}

#[tokio::test]
async fn me_shows_a_change_at_once() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    key.get("/v1/users/me").await.expect(200);
    key.patch(&format!("/v1/users/{}", key.user().id), json!({ "name": "Augusta King" })).await.expect(200);
    assert_eq!(key.get("/v1/users/me").await.json()["name"], "Augusta King");
}

// Creating.

#[tokio::test]
async fn a_new_user_is_a_member_of_the_callers_account() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    for key in [editor(&server).await, admin] {
        let email = format!("new.{}@example.com", key.key_id());
        let created = key.post("/v1/users", charlie_but(json!({ "email": email }))).await.expect(201).json();
        assert_eq!(created["account_id"], key.user().account_id.to_string());
        assert_eq!(created["role"], "member");
    }
}

#[tokio::test]
async fn an_admins_key_may_say_account_and_role() {
    let server = TestServer::start().await;
    let (admin, other) = (server.admin().await, server.account("Other").await);
    let body = charlie_but(json!({ "account_id": other.to_string(), "role": "admin" }));
    let created = admin.post("/v1/users", body).await.expect(201).json();
    assert_eq!((&created["account_id"], &created["role"]), (&json!(other.to_string()), &json!("admin")));

    let unknown = charlie_but(json!({ "account_id": "acct_01h455vb4pex5vsknk084sn02q", "email": "x@example.com" }));
    assert_eq!(admin.post("/v1/users", unknown).await.expect(400).problems(), [("account_id".into(), "unknown".into())]);
    let role = charlie_but(json!({ "role": "root", "email": "x@example.com" }));
    assert_eq!(admin.post("/v1/users", role).await.expect(400).problems(), [("role".into(), "invalid_choice".into())]);
}

#[tokio::test]
async fn every_problem_is_told_and_the_first_is_the_message() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let refused = key.post("/v1/users", json!({ "email": "nonsense", "password": "short" })).await.expect(400);
    assert_eq!(refused.error(), "validation_error");
    let pairs = [("name", "required"), ("email", "invalid_email"), ("password", "too_short")];
    assert_eq!(refused.problems(), pairs.map(|(field, code)| (field.to_owned(), code.to_owned())));
    assert_eq!(refused.message(), refused.json()["errors"][0]["message"]);
    assert_eq!(refused.json()["errors"][2]["message"], "Password must be at least 8 characters long.");
}

#[tokio::test]
async fn names_addresses_and_passwords_have_bounds() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for (changes, code) in [
        (json!({ "name": "" }), "required"),
        (json!({ "name": " \u{a0} " }), "required"),
        (json!({ "name": "x".repeat(101) }), "too_long"),
        (json!({ "name": "a\nb" }), "invalid_characters"),
        (json!({ "name": "a\u{0}b" }), "invalid_characters"),
        (json!({ "name": "a\u{202e}b" }), "invalid_characters"),
        (json!({ "name": 7 }), "wrong_type"),
        (json!({ "name": ["x"] }), "wrong_type"),
        (json!({ "email": "a@x\n" }), "invalid_email"),
        (json!({ "email": format!("{}@{}.example", "a".repeat(64), "b".repeat(200)) }), "too_long"),
        (json!({ "email": {} }), "wrong_type"),
        (json!({ "password": "1234567" }), "too_short"),
        (json!({ "password": "e\u{301}".repeat(7) }), "too_short"),
        (json!({ "password": "é".repeat(257) }), "too_long"),
        (json!({ "password": "password1" }), "common_password"),
        (json!({ "password": "PASSWORD1" }), "common_password"),
        (json!({ "password": "" }), "required"),
    ] {
        let refused = key.post("/v1/users", charlie_but(changes.clone())).await.expect(400);
        assert_eq!(
            refused.problems().first().map(|(_, code)| code.clone()).as_deref(),
            Some(code),
            "{changes}: {}",
            refused.text
        );
    }
    let longest = json!({ "name": "é".repeat(100), "password": "é".repeat(256) });
    key.post("/v1/users", charlie_but(longest)).await.expect(201);
}

#[tokio::test]
async fn an_address_in_use_is_refused_however_it_is_written() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    for taken in ["charlie@example.com", "jos\u{e9}@example.com", "a@b\u{fc}cher.example"] {
        key.post("/v1/users", charlie_but(json!({ "email": taken }))).await.expect(201);
    }
    for same in [
        "charlie@example.com",
        "Charlie@EXAMPLE.com",
        "CHARLIE@example.com",
        " charlie@example.com ",
        "jose\u{301}@example.com",
        "JOS\u{c9}@example.com",
        "a@xn--bcher-kva.example",
        "A@B\u{dc}CHER.example",
    ] {
        let refused = key.post("/v1/users", charlie_but(json!({ "email": same }))).await.expect(400);
        assert_eq!(refused.problems(), [("email".into(), "taken".into())], "{same}");
        assert_eq!(refused.message(), "Email address is already in use.");
    }
}

#[tokio::test]
async fn an_address_in_use_is_refused_across_accounts_and_in_changes() {
    let server = TestServer::start().await;
    let (one, other) = (editor(&server).await, editor(&server).await);
    one.post("/v1/users", charlie()).await.expect(201);
    let refused = other.post("/v1/users", charlie()).await.expect(400);
    assert_eq!(refused.message(), "Email address is already in use.");
    let own = format!("/v1/users/{}", other.user().id);
    let refused = other.patch(&own, json!({ "email": "CHARLIE@example.com" })).await.expect(400);
    assert_eq!(refused.problems(), [("email".into(), "taken".into())]);
    other.patch(&own, json!({ "email": other.user().email.to_uppercase() })).await.expect(200);
}

#[tokio::test]
async fn of_many_who_take_one_address_at_once_one_gets_it() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let bodies = (0..8).map(|n| key.post("/v1/users", charlie_but(json!({ "name": format!("Charlie {n}") }))));
    let mut statuses: Vec<u16> = futures_util::future::join_all(bodies).await.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[201].as_slice(), &[400; 7]].concat());
}

// Changing.

#[tokio::test]
async fn put_and_patch_alike_change_only_the_fields_given() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let user = key.post("/v1/users", charlie()).await.expect(201);
    let path = user.header("location").to_owned();
    server.advance(SECOND);
    let named = key.put(&path, json!({ "name": "Charles Chaplin" })).await.expect(200).json();
    assert_eq!((&named["name"], &named["email"]), (&json!("Charles Chaplin"), &json!("charlie@example.com")));
    assert_eq!(named["updated_at"], "2026-11-22T10:00:01Z");
    assert_eq!(named["created_at"], "2026-11-22T10:00:00Z");
    let moved = key.patch(&path, json!({ "email": "charlie.c@example.com" })).await.expect(200).json();
    assert_eq!((&moved["name"], &moved["email"]), (&json!("Charles Chaplin"), &json!("charlie.c@example.com")));
    assert_eq!(key.patch(&path, json!({})).await.expect(200).json()["email"], "charlie.c@example.com");
}

#[tokio::test]
async fn a_field_set_to_null_is_refused_and_nothing_changes() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let path = key.post("/v1/users", charlie()).await.expect(201).header("location").to_owned();
    let before = key.get(&path).await.json();
    key.patch(&path, json!({ "name": null })).await.expect(400);
    key.patch(&path, json!({ "name": "New", "email": null })).await.expect(400);
    assert_eq!(key.get(&path).await.json(), before);
}

#[tokio::test]
async fn a_users_write_key_cannot_touch_an_administrator() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let admin = server.user_in(key.user().account_id, Role::Admin).await;
    let path = format!("/v1/users/{}", admin.id);
    for body in [json!({ "password": "mine-from-now-on" }), json!({ "email": "me@example.com" }), json!({ "name": "X" })] {
        let refused = key.patch(&path, body).await.expect(403);
        assert_eq!((refused.error().as_str(), &refused.json()["required_scope"]), ("insufficient_scope", &json!("admin")));
    }
    key.delete(&path).await.expect(403);
    assert_eq!(key.get(&path).await.expect(200).json()["email"], admin.email);
}

#[tokio::test]
async fn role_and_status_need_the_scope_admin() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let path = format!("/v1/users/{}", server.colleague_of(key.user()).await.id);
    for body in [json!({ "role": "admin" }), json!({ "role": "member" }), json!({ "status": "disabled" })] {
        assert_eq!(key.patch(&path, body).await.expect(403).json()["required_scope"], "admin");
    }
    let admin = server.admin().await;
    let changed = admin.patch(&path, json!({ "role": "admin", "status": "disabled" })).await.expect(200).json();
    assert_eq!((&changed["role"], &changed["status"]), (&json!("admin"), &json!("disabled")));
}

#[tokio::test]
async fn an_admins_key_loses_what_its_owner_loses_at_once() {
    let server = TestServer::start().await;
    let (root, admin) = (server.admin().await, server.admin().await);
    admin.get("/v1/keys").await.expect(200);
    root.patch(&format!("/v1/users/{}", admin.user().id), json!({ "role": "member" })).await.expect(200);
    let foreign = format!("/v1/users/{}", root.user().id);
    admin.get(&foreign).await.expect(404);
    admin.patch(&format!("/v1/users/{}", admin.user().id), json!({ "role": "admin" })).await.expect(403);
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let path = format!("/v1/users/{}", admin.user().id);
    for refused in [
        admin.delete(&path).await,
        admin.patch(&path, json!({ "role": "member" })).await,
        admin.patch(&path, json!({ "status": "disabled" })).await,
    ] {
        assert_eq!((refused.status, refused.error().as_str()), (409, "last_admin"), "{}", refused.text);
    }
    let second = server.admin().await;
    admin.delete(&path).await.expect(204);
    second.get("/v1/users").await.expect(200);
    second.delete(&format!("/v1/users/{}", second.user().id)).await.expect(409);
}

#[tokio::test]
async fn of_administrators_who_delete_one_another_at_once_one_stays() {
    let server = TestServer::start().await;
    let admins = [server.admin().await, server.admin().await, server.admin().await];
    let deletions = (0..3).map(|n| {
        let (admin, other) = (&admins[n], admins[(n + 1) % 3].user().id);
        async move { admin.delete(&format!("/v1/users/{other}")).await.status }
    });
    let statuses = futures_util::future::join_all(deletions).await;
    assert!(statuses.iter().all(|status| [204, 401, 404, 409].contains(status)), "{statuses:?}");
    let mut left = 0;
    for admin in &admins {
        left += usize::from(admin.get("/v1/users").await.status == 200);
    }
    assert!(left >= 1 && statuses.iter().filter(|status| **status == 204).count() == 3 - left, "{statuses:?}, {left} left");
}

#[tokio::test]
async fn a_disabled_administrator_does_not_count_as_the_other_one() {
    let server = TestServer::start().await;
    let (admin, disabled) = (server.admin().await, server.admin().await);
    server.set_status(disabled.user(), UserStatus::Disabled).await;
    admin.delete(&format!("/v1/users/{}", admin.user().id)).await.expect(409);
}

#[tokio::test]
async fn deleting_a_user_stops_their_keys_at_once() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let colleague = server.colleague_of(key.user()).await;
    let keys = [server.key_of(&colleague, &[UsersRead]).await, server.key_of(&colleague, &[UsersRead]).await];
    for theirs in &keys {
        theirs.get("/v1/users").await.expect(200);
    }
    key.delete(&format!("/v1/users/{}", colleague.id)).await.expect(204);
    for theirs in &keys {
        assert_eq!(theirs.get("/v1/users").await.expect(401).error(), "invalid_api_key");
    }
}

#[tokio::test]
async fn a_key_can_delete_its_own_owner_and_ends_with_them() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    key.delete(&format!("/v1/users/{}", key.user().id)).await.expect(204);
    key.get("/v1/users").await.expect(401);
}

#[tokio::test]
async fn disabling_a_user_stops_their_keys_until_they_are_enabled() {
    let server = TestServer::start().await;
    let (admin, key) = (server.admin().await, editor(&server).await);
    let path = format!("/v1/users/{}", key.user().id);
    key.get("/v1/users").await.expect(200);
    admin.patch(&path, json!({ "status": "disabled" })).await.expect(200);
    assert_eq!(key.get("/v1/users").await.expect(401).error(), "invalid_api_key");
    admin.patch(&path, json!({ "status": "active" })).await.expect(200);
    key.get("/v1/users").await.expect(200);
}

// Conditions.

#[tokio::test]
async fn what_is_unchanged_is_not_sent_again() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let created = key.post("/v1/users", charlie()).await.expect(201);
    let path = created.header("location").to_owned();
    let etag = key.get(&path).await.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "a strong tag: {etag}");
    assert_eq!(created.header("etag"), etag);
    for known in [etag.clone(), format!("\"other\", {etag}"), format!("W/{etag}"), "*".into()] {
        let same = key.header("If-None-Match", &known).get(&path).await.expect(304);
        assert_eq!((same.text.as_str(), same.header("etag")), ("", etag.as_str()));
    }
    key.patch(&path, json!({ "name": "Charles" })).await.expect(200);
    let changed = key.header("If-None-Match", &etag).get(&path).await.expect(200);
    assert_ne!(changed.header("etag"), etag);
}

#[tokio::test]
async fn a_write_meant_for_another_state_is_refused() {
    let server = TestServer::start().await;
    let key = editor(&server).await;
    let created = key.post("/v1/users", charlie()).await.expect(201);
    let (path, etag) = (created.header("location").to_owned(), created.header("etag").to_owned());
    let careful = key.header("If-Match", &etag);
    let changed = careful.patch(&path, json!({ "name": "Charles" })).await.expect(200);
    for refused in [careful.patch(&path, json!({ "name": "Chuck" })).await, careful.delete(&path).await] {
        assert_eq!((refused.status, refused.error().as_str()), (412, "precondition_failed"));
    }
    for foreign in ["\"nonsense\"", "nonsense", "", "\"é\"", &format!("W/{}", changed.header("etag"))] {
        key.header("If-Match", foreign).delete(&path).await.expect(412);
    }
    assert_eq!(key.get(&path).await.json()["name"], "Charles");
    key.header("If-Match", "*").patch(&path, json!({ "name": "Charlie" })).await.expect(200);
    let latest = key.get(&path).await.header("etag").to_owned();
    key.header("If-Match", &format!("\"é\", {latest}")).delete(&path).await.expect(204);
}

#[tokio::test]
async fn an_admins_key_sees_and_changes_users_of_every_account() {
    let server = TestServer::start().await;
    let (admin, stranger) = (server.admin().await, server.member().await);
    let path = format!("/v1/users/{}", stranger.id);
    admin.get(&path).await.expect(200);
    assert_eq!(admin.patch(&path, json!({ "name": "New" })).await.expect(200).json()["name"], "New");
}
