//! Discovery, revocation and introspection: RFC 8414, 9728, 9207, 7009 and 7662, requirement by requirement.

use keyrack::config::PublicUrl;

use crate::support::{TestServer, query_of};

#[tokio::test]
async fn rfc8414_s2_the_metadata_name_every_endpoint_and_what_it_takes() {
    let server = TestServer::with(|config| config.server.public_url = PublicUrl::parse("https://keys.example.com").ok()).await;
    let reply = server.anonymous().get("/.well-known/oauth-authorization-server").await.expect(200);
    assert!(reply.header("content-type").starts_with("application/json"));
    let told = reply.json();
    assert_eq!(told["issuer"], "https://keys.example.com");
    for name in ["authorization", "token", "revocation", "introspection"] {
        let url = told[format!("{name}_endpoint")].as_str().expect("a URL").to_owned();
        let path = url.strip_prefix("https://keys.example.com").expect("of the issuer").to_owned();
        let method = if name == "authorization" { reqwest::Method::GET } else { reqwest::Method::POST };
        assert!(![404, 405].contains(&server.anonymous().send(method, &path, None).await.status), "{path}");
    }
    assert_eq!(told["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    assert_eq!(told["response_types_supported"], serde_json::json!(["code"]));
    assert_eq!(told["authorization_response_iss_parameter_supported"], true);
    assert!(told["scopes_supported"].as_array().expect("scopes").contains(&"read".into()));
}

#[tokio::test]
async fn rfc9728_s2_the_api_names_its_authorization_server() {
    let server = TestServer::start().await;
    let told = server.anonymous().get("/.well-known/oauth-protected-resource").await.expect(200).json();
    assert_eq!(told["authorization_servers"], serde_json::json!([told["resource"]]));
}

#[tokio::test]
async fn rfc9207_s2_every_answer_names_its_issuer() {
    let server = TestServer::with(|config| config.server.public_url = PublicUrl::parse("https://keys.example.com").ok()).await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let fields = app.request(&[]);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for decision in ["cancel", "allow"] {
        let sent = server.answer(&user, &fields, decision).await.expect(303);
        assert!(query_of(&sent).contains(&("iss".into(), "https://keys.example.com".into())), "{decision}");
    }
}

#[tokio::test]
async fn rfc7009_s2_1_an_access_token_that_is_given_back_ends_alone() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    server.bearing(&tokens).get("/v1/users").await.expect(200);
    let token = tokens["access_token"].as_str().expect("a token");
    let done = app.post("/oauth/revoke", &[("token", token), ("token_type_hint", "refresh_token")]).await.expect(200);
    assert_eq!(done.text, "");
    server.bearing(&tokens).get("/v1/users").await.expect(401);
    app.refresh(&tokens).await.expect(200);
}

#[tokio::test]
async fn rfc7009_s2_1_a_refresh_token_that_is_given_back_takes_its_access_tokens_along() {
    let server = TestServer::start().await;
    let (app, user) = (server.public_app().await, server.member().await);
    let (tokens, others) = (server.tokens(&app, &user, "users:read").await, server.tokens(&app, &user, "users:read").await);
    let token = tokens["refresh_token"].as_str().expect("a token");
    app.post("/oauth/revoke", &[("token", token)]).await.expect(200);
    server.bearing(&tokens).get("/v1/users").await.expect(401);
    app.refresh(&tokens).await.expect(400);
    server.bearing(&others).get("/v1/users").await.expect(200);
}

#[tokio::test]
async fn rfc7009_s2_2_what_is_no_token_of_the_client_is_200_and_nothing() {
    let server = TestServer::start().await;
    let (app, other, user) = (server.oauth_app().await, server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    for token in ["nonsense", "kro_x", tokens["access_token"].as_str().expect("a token")] {
        other.post("/oauth/revoke", &[("token", token)]).await.expect(200);
    }
    server.bearing(&tokens).get("/v1/users").await.expect(200);
    assert_eq!(app.post("/oauth/revoke", &[]).await.expect(400).error(), "invalid_request");
    assert_eq!(server.anonymous().post_form("/oauth/revoke", &[("token", "x")]).await.expect(401).error(), "invalid_client");
}

#[tokio::test]
async fn rfc7662_s2_2_a_client_learns_what_its_own_token_is_worth() {
    let server = TestServer::start().await;
    let (app, user) = (server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "read").await;
    let told = app.introspect(&tokens["access_token"]).await;
    assert_eq!((told["active"].as_bool(), told["token_type"].as_str()), (Some(true), Some("Bearer")));
    assert_eq!((told["sub"].as_str(), told["client_id"].as_str()), (Some(&*user.id.to_string()), Some(&*app.id)));
    assert_eq!(told["scope"], "users:read keys:read webhooks:read");
    assert_eq!(told["exp"].as_i64(), told["iat"].as_i64().map(|iat| iat + 3600));
    assert_eq!(app.introspect(&tokens["refresh_token"]).await["active"], true);
    app.refresh(&tokens).await.expect(200);
    assert_eq!(app.introspect(&tokens["refresh_token"]).await["active"], false, "it was replaced");
    server.advance(crate::support::HOUR);
    assert_eq!(app.introspect(&tokens["access_token"]).await, serde_json::json!({ "active": false }));
}

#[tokio::test]
async fn rfc7662_s2_2_of_anything_else_it_learns_nothing() {
    let server = TestServer::start().await;
    let (app, other, user) = (server.oauth_app().await, server.oauth_app().await, server.member().await);
    let tokens = server.tokens(&app, &user, "users:read").await;
    let key = server.key(&[]).await;
    for token in [&tokens["access_token"], &tokens["refresh_token"], &"nonsense".into(), &key.secret().into()] {
        assert_eq!(other.introspect(token).await, serde_json::json!({ "active": false }));
    }
}

#[tokio::test]
async fn rfc7662_s2_1_nobody_asks_without_a_secret() {
    let server = TestServer::start().await;
    let (public, user) = (server.public_app().await, server.member().await);
    let tokens = server.tokens(&public, &user, "users:read").await;
    let token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(public.post("/oauth/introspect", &[("token", token)]).await.expect(401).error(), "invalid_client");
    assert_eq!(
        server.anonymous().post_form("/oauth/introspect", &[("token", token)]).await.expect(401).error(),
        "invalid_client"
    );
}

#[tokio::test]
async fn rfc6749_s3_1_and_3_2_need_tls_beyond_this_machine() {
    let server =
        TestServer::with(|config| config.server.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")]).await;
    let app = server.oauth_app().await;
    let plain = server.anonymous().header("X-Forwarded-For", "203.0.113.7").header("X-Forwarded-Proto", "http");
    plain.post_form("/oauth/token", &[("client_id", &app.id)]).await.expect(403);
    plain.header("Accept", "text/html").get("/oauth/authorize").await.expect(403);
}
