//! RFC 6749 and RFC 7636, requirement by requirement.

use serde_json::Value;

use crate::support::{OauthApp, Reply, TestServer, VERIFIER, challenge_of, form, query_of};

/// An error of the token endpoint (§5.2).
#[track_caller]
fn is(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.error().as_str()), (status, code), "{}", reply.text);
    assert!(reply.header("content-type").starts_with("application/json"));
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let words = reply.json()["error_description"].as_str().expect("a description").to_owned();
    assert!(words.bytes().all(|b| (0x20..=0x7e).contains(&b) && b != b'"' && b != b'\\'), "{words:?}");
}

/// An error that the client is sent (§4.1.2.1).
async fn sent_error(server: &TestServer, app: &OauthApp, more: &[(&str, &str)]) -> String {
    let user = server.member().await;
    let fields = app.request(more);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let reply = server.authorize(&user, &fields).await.expect(302);
    assert!(reply.header("location").starts_with("https://app.example.com/callback?error="), "{}", reply.header("location"));
    let query = query_of(&reply);
    assert!(query.contains(&("state".into(), "af0ifjsldkj".into())), "{query:?}");
    assert!(query.iter().any(|(name, value)| name == "iss" && value.starts_with("http://127.0.0.1:")), "{query:?}");
    query[0].1.clone()
}

fn basic(app: &OauthApp) -> String {
    let pair = format!("{}:{}", app.id, app.secret.as_deref().unwrap_or_default());
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}

const OWN: &[(&str, &str)] = &[("grant_type", "client_credentials")];

#[tokio::test]
async fn s2_3_1_a_client_shows_who_it_is_by_basic_or_in_the_body() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    app.post("/oauth/token", OWN).await.expect(200);
    let by_header = server.anonymous().header("Authorization", &basic(&app));
    by_header.post_form("/oauth/token", OWN).await.expect(200);
    by_header.post_form("/oauth/token", &[("client_id", app.id.as_str()), OWN[0]]).await.expect(200);
    let escaped = app.id.replace('_', "%5F");
    let pair = data_encoding::BASE64.encode(format!("{escaped}:{}", app.secret.as_deref().expect("a secret")).as_bytes());
    server.anonymous().header("Authorization", &format!("basic {pair}")).post_form("/oauth/token", OWN).await.expect(200);
}

#[tokio::test]
async fn s2_3_only_one_way_of_showing_it_is_used() {
    let server = TestServer::start().await;
    let (app, other) = (server.oauth_app().await, server.oauth_app().await);
    let by_header = server.anonymous().header("Authorization", &basic(&app));
    let secret = app.secret.as_deref().expect("a secret");
    is(&by_header.post_form("/oauth/token", &[("client_secret", secret), OWN[0]]).await, 400, "invalid_request");
    is(&by_header.post_form("/oauth/token", &[("client_id", &other.id), OWN[0]]).await, 400, "invalid_request");
    let twice = by_header.header("Authorization", &basic(&app)).post_form("/oauth/token", OWN).await;
    is(&twice, 400, "invalid_request");
}

#[tokio::test]
async fn s2_3_1_a_secret_in_the_address_is_not_looked_at() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let path = format!("/oauth/token?client_id={}&client_secret={}", app.id, app.secret.as_deref().expect("a secret"));
    is(&server.anonymous().post_form(&path, OWN).await, 401, "invalid_client");
}

#[tokio::test]
async fn s2_3_1_guessing_a_secret_is_slow_and_the_right_one_still_passes() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let wrong =
        OauthApp { secret: Some("krs_wrong".into()), id: app.id.clone(), redirect_uri: String::new(), http: app.http.clone() };
    for _ in 0..100 {
        is(&wrong.post("/oauth/token", OWN).await, 401, "invalid_client");
    }
    let stopped = wrong.post("/oauth/token", OWN).await.expect(429);
    assert_eq!((stopped.error().as_str(), stopped.number("retry-after")), ("rate_limit_exceeded", 60));
    app.post("/oauth/token", OWN).await.expect(200);
    assert_eq!(server.anonymous().get("/v1/users").await.status, 429, "one bucket for all guesses of an address");
}

#[tokio::test]
async fn s2_3_1_a_client_that_is_not_named_counts_like_a_wrong_secret() {
    let server = TestServer::start().await;
    let wrong = ["Basic", "Basic !", "Basic YQ==", "Bearer x", ""];
    for n in 0..100 {
        let header = wrong[n % wrong.len()];
        let client = if header.is_empty() { server.anonymous() } else { server.anonymous().header("Authorization", header) };
        is(&client.post_form("/oauth/token", OWN).await, 401, "invalid_client");
    }
    server.anonymous().header("Authorization", "Basic !").post_form("/oauth/token", OWN).await.expect(429);
}

#[tokio::test]
async fn s3_1_a_parameter_sent_twice_is_an_invalid_request() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    for twice in ["scope", "response_type", "anything"] {
        assert_eq!(sent_error(&server, &app, &[(twice, "code"), (twice, "code")]).await, "invalid_request", "{twice}");
    }
}

#[tokio::test]
async fn s3_1_unknown_parameters_are_ignored_and_empty_ones_are_not_there() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let fields = app.request(&[("unknown", "x"), ("code_challenge", ""), ("code_challenge_method", ""), ("scope", "")]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sent = server.answer(&user, &fields, "allow").await.expect(303);
    let tokens = app.redeem(&query_of(&sent)[0].1, &[("unknown", "x")]).await.expect(200).json();
    assert_eq!(tokens["scope"], "users:read");
}

#[tokio::test]
async fn s3_2_the_token_endpoint_answers_post_alone() {
    let server = TestServer::start().await;
    for path in ["/oauth/token", "/oauth/revoke", "/oauth/introspect"] {
        for verb in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
            let reply = server.anonymous().send(verb, path, None).await;
            is(&reply, 405, "invalid_request");
            assert_eq!(reply.header("allow"), "POST, OPTIONS");
        }
    }
}

#[tokio::test]
async fn s3_2_a_parameter_sent_twice_is_an_invalid_request() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    for twice in ["grant_type", "scope", "anything"] {
        is(&app.post("/oauth/token", &[OWN[0], (twice, "a"), (twice, "a")]).await, 400, "invalid_request");
    }
    let json = server.anonymous().header("Content-Type", "application/json");
    let body = format!(r#"{{"client_id":"{0}","client_id":"{0}","grant_type":"client_credentials"}}"#, app.id);
    is(&json.send(reqwest::Method::POST, "/oauth/token", Some(body)).await, 400, "invalid_request");
}

#[tokio::test]
async fn s3_3_scopes_are_case_sensitive_and_unknown_ones_refused() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    for scope in ["Users:read", "READ", "users:fly", "users:read,users:write", "users:read\ttab", "\"", "é"] {
        assert_eq!(sent_error(&server, &app, &[("scope", scope)]).await, "invalid_scope", "{scope}");
        is(&app.post("/oauth/token", &[OWN[0], ("scope", scope)]).await, 400, "invalid_scope");
    }
}

#[tokio::test]
async fn s3_3_a_scope_that_the_client_is_not_registered_for_is_refused() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    assert_eq!(sent_error(&server, &app, &[("scope", "users:read admin")]).await, "invalid_scope");
    is(&app.post("/oauth/token", &[OWN[0], ("scope", "audit:read")]).await, 400, "invalid_scope");
}

#[tokio::test]
async fn s4_1_2_1_errors_are_sent_to_the_client_with_its_state() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    assert_eq!(sent_error(&server, &app, &[("response_type", "token")]).await, "unsupported_response_type");
    assert_eq!(sent_error(&server, &app, &[("response_type", "code id_token")]).await, "unsupported_response_type");
    assert_eq!(sent_error(&server, &app, &[("response_type", "")]).await, "invalid_request");
}

#[tokio::test]
async fn s4_1_3_the_redirect_uri_is_repeated_as_it_was() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    for uri in ["", "https://app.example.com/callback/", "https://evil.example/"] {
        let code = server.code(&app, &user, &[]).await;
        is(&app.redeem(&code, &[("redirect_uri", uri)]).await, 400, "invalid_grant");
    }
}

#[tokio::test]
async fn s4_3_the_password_grant_does_not_exist() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    for kind in ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code", "é"] {
        is(&app.post("/oauth/token", &[("grant_type", kind)]).await, 400, "unsupported_grant_type");
    }
    is(&app.post("/oauth/token", &[]).await, 400, "invalid_request");
}

#[tokio::test]
async fn s4_4_client_credentials_are_for_confidential_clients() {
    let server = TestServer::start().await;
    is(&server.public_app().await.post("/oauth/token", OWN).await, 400, "unauthorized_client");
    let issued = server.oauth_app().await.post("/oauth/token", OWN).await.expect(200).json();
    assert!(issued.get("refresh_token").is_none());
}

#[tokio::test]
async fn s5_1_tokens_are_answered_in_full_and_kept_by_no_cache() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let reply = app.post("/oauth/token", OWN).await.expect(200);
    assert_eq!((reply.header("cache-control"), reply.header("pragma")), ("no-store", "no-cache"));
    let body = reply.json();
    assert!(body["expires_in"].is_u64() && body["token_type"] == "Bearer" && body["scope"] == "users:read", "{body}");
}

#[tokio::test]
async fn s5_2_a_client_that_is_none_gets_401_with_a_challenge() {
    let server = TestServer::start().await;
    let (app, public) = (server.oauth_app().await, server.public_app().await);
    let mut tries = vec![server.anonymous().post_form("/oauth/token", OWN).await];
    for id in ["", "nobody", "client_01h455vb4pex5vsknk084sn02q", "\u{0}\r\n"] {
        tries.push(server.anonymous().post_form("/oauth/token", &[("client_id", id), OWN[0]]).await);
    }
    let of = |id: &str, secret: Option<&str>| OauthApp {
        id: id.into(),
        secret: secret.map(str::to_owned),
        redirect_uri: String::new(),
        http: server.anonymous(),
    };
    for secret in [None, Some("wrong"), server.oauth_app().await.secret.as_deref()] {
        tries.push(of(&app.id, secret).post("/oauth/token", OWN).await);
    }
    tries.push(of(&public.id, Some("krs_any")).post("/oauth/token", OWN).await);
    for header in ["Basic", "Basic !", "Basic YQ==", "Basic Og==", "Bearer x", "Basic /////w=="] {
        tries.push(server.anonymous().header("Authorization", header).post_form("/oauth/token", OWN).await);
    }
    for reply in &tries {
        is(reply, 401, "invalid_client");
        assert!(reply.header("www-authenticate").starts_with("Basic realm="));
    }
}

#[tokio::test]
async fn s5_2_a_body_that_cannot_be_read_is_an_invalid_request() {
    let server = TestServer::start().await;
    let send = async |kind: &str, body: &str| {
        server.anonymous().header("Content-Type", kind).send(reqwest::Method::POST, "/oauth/token", Some(body.into())).await
    };
    for (kind, body) in [
        ("application/json", ""),
        ("application/json", "[]"),
        ("application/json", r#"{"grant_type":1}"#),
        ("application/json", r#"{"client_id":{"a":1}}"#),
        ("application/json", "{"),
        ("text/plain", "grant_type=client_credentials"),
        ("multipart/form-data; boundary=x", "--x--"),
        ("application/x-www-form-urlencoded", "client_id=%ff%fe"),
    ] {
        is(&send(kind, body).await, 400, "invalid_request");
    }
    is(&send("application/json", &format!("\"{}\"", "x".repeat(70_000))).await, 413, "invalid_request");
}

#[tokio::test]
async fn s5_2_the_shape_is_the_same_in_every_dialect() {
    for dialect in keyrack::model::dialect::DialectName::ALL {
        let server = TestServer::with(|config| config.api.dialect = *dialect).await;
        is(&server.anonymous().post_form("/oauth/token", OWN).await, 401, "invalid_client");
    }
}

#[tokio::test]
async fn s6_a_refresh_may_ask_for_less_and_never_for_more() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read keys:read").await;
    let ask = async |tokens: &Value, scope: &str| {
        let token = tokens["refresh_token"].as_str().expect("a token").to_owned();
        app.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", &token), ("scope", scope)]).await
    };
    for more in ["users:write", "users:read users:write", "write admin", "unknown"] {
        is(&ask(&tokens, more).await, 400, "invalid_scope");
    }
    let less = ask(&tokens, "users:read").await.expect(200).json();
    assert_eq!(less["scope"], "users:read");
    assert_eq!(server.bearing(&less).get("/v1/keys").await.expect(403).error(), "insufficient_scope");
    let all = app.refresh(&less).await.expect(200).json();
    assert_eq!(all["scope"], "users:read keys:read", "the refresh token keeps what the user allowed");
}

#[tokio::test]
async fn s6_a_refresh_token_is_its_clients_alone() {
    let server = TestServer::start().await;
    let (app, thief, user) = (server.oauth_app().await, server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    is(&thief.refresh(&tokens).await, 400, "invalid_grant");
    for wrong in ["", "krr_nonsense", "x", tokens["access_token"].as_str().expect("a token")] {
        let reply = app.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", wrong)]).await;
        is(&reply, 400, if wrong.is_empty() { "invalid_request" } else { "invalid_grant" });
    }
    app.refresh(&tokens).await.expect(200);
}

#[tokio::test]
async fn s10_6_no_code_without_the_user() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let fields = app.request(&[("response_type", "token")]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = format!("/oauth/authorize?{}", form(&fields));
    let reply = server.anonymous().header("Accept", "text/html").get(&path).await.expect(303);
    assert!(reply.header("location").starts_with("/sign-in?next="), "nobody is sent on before they are known");
}

const METHOD: (&str, &str) = ("code_challenge_method", "S256");

#[tokio::test]
async fn rfc7636_s4_1_a_verifier_has_43_to_128_plain_characters() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    for (verifier, works) in [
        ("a".repeat(43), true),
        ("~".repeat(128), true),
        ("a".repeat(42), false),
        ("a".repeat(129), false),
        (format!("{} ", "a".repeat(43)), false),
        ("é".repeat(30), false),
    ] {
        let challenge = challenge_of(&verifier);
        let code = server.code(&app, &user, &[("code_challenge", &challenge), METHOD]).await;
        let reply = app.redeem(&code, &[("code_verifier", &verifier)]).await;
        if works { drop(reply.expect(200)) } else { is(&reply, 400, "invalid_grant") }
    }
}

#[tokio::test]
async fn rfc7636_s4_4_1_only_s256_is_known() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let challenge = challenge_of(VERIFIER);
    for method in ["plain", "s256", "S512", ""] {
        let asked = [("code_challenge", challenge.as_str()), ("code_challenge_method", method)];
        assert_eq!(sent_error(&server, &app, &asked).await, "invalid_request", "{method}");
    }
    assert_eq!(sent_error(&server, &app, &[METHOD]).await, "invalid_request");
    for challenge in ["short", &"a".repeat(44), &"é".repeat(22)] {
        assert_eq!(sent_error(&server, &app, &[("code_challenge", challenge), METHOD]).await, "invalid_request", "{challenge}");
    }
}

#[tokio::test]
async fn rfc7636_s4_6_a_verifier_that_does_not_fit_is_an_invalid_grant() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let challenge = challenge_of(VERIFIER);
    for wrong in [&[][..], &[("code_verifier", &*"b".repeat(43))], &[("code_verifier", challenge.as_str())]] {
        let code = server.code(&app, &user, &[("code_challenge", &challenge), METHOD]).await;
        is(&app.redeem(&code, wrong).await, 400, "invalid_grant");
        is(&app.redeem(&code, &[("code_verifier", VERIFIER)]).await, 400, "invalid_grant");
    }
}

#[tokio::test]
async fn rfc9700_s2_1_1_public_clients_use_pkce_and_nobody_drops_it() {
    let server = TestServer::start().await;
    let (app, public, user) = (server.oauth_app().await, server.public_app().await, server.member().await);
    assert_eq!(sent_error(&server, &public, &[]).await, "invalid_request");
    let code = server.code(&app, &user, &[]).await;
    is(&app.redeem(&code, &[("code_verifier", VERIFIER)]).await, 400, "invalid_grant");
}

#[tokio::test]
async fn s4_1_2_1_a_fault_and_a_lock_are_told_apart() {
    let server = TestServer::start().await;
    let app = server.oauth_app().await;
    let file = rusqlite::Connection::open(server.data().join("keyrack.db")).expect("opens");
    file.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let own = async || app.post("/oauth/token", &[("grant_type", "client_credentials")]).await;
    is(&own().await, 503, "temporarily_unavailable");
    file.execute_batch("ROLLBACK; ALTER TABLE oauth_clients RENAME TO elsewhere").expect("unlocks");
    is(&own().await, 500, "server_error");
}
