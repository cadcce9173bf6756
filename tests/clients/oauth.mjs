// oauth4webapi and openid-client, unchanged, against a Keyrack: discovery, code with PKCE, refresh, introspection and
// revocation; a confidential client by header and by body, and a public one.
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import * as openid from "openid-client";

const { BASE_URL, USER_AGENT_URL, REDIRECT_URI, CLIENT_ID, CLIENT_SECRET, PUBLIC_ID } = process.env;
const issuer = new URL(BASE_URL);

// What a person's browser does with a link: signs in, allows, and is sent back.
async function allow(link) {
  const answer = await fetch(`${USER_AGENT_URL}/?${new URLSearchParams({ link: link.href })}`);
  return new URL(await answer.text());
}

async function byOauth4webapi(client, authentication) {
  const http = { [oauth.allowInsecureRequests]: true };
  const found = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...http });
  const server = await oauth.processDiscoveryResponse(issuer, found);
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const link = new URL(server.authorization_endpoint);
  link.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri: REDIRECT_URI,
    response_type: "code",
    scope: "read write",
    state,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const back = await allow(link);
  // Checks `iss` and `state`.
  const params = oauth.validateAuthResponse(server, client, back, state);
  const redeemed = await oauth.authorizationCodeGrantRequest(server, client, authentication, params, REDIRECT_URI, verifier, http);
  const tokens = await oauth.processAuthorizationCodeResponse(server, client, redeemed);
  assert.equal(tokens.token_type, "bearer");
  const me = await oauth.protectedResourceRequest(tokens.access_token, "GET", new URL("/v1/users/me", issuer), undefined, null, http);
  assert.equal((await me.json()).email, "reader@example.com");
  const again = await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refresh_token, http);
  const refreshed = await oauth.processRefreshTokenResponse(server, client, again);
  assert.notEqual(refreshed.refresh_token, tokens.refresh_token);
  if (client.client_id === CLIENT_ID) {
    const told = await oauth.introspectionRequest(server, client, authentication, refreshed.access_token, http);
    const introspected = await oauth.processIntrospectionResponse(server, client, told);
    assert.equal(introspected.active, true);
    assert.equal(introspected.username, "reader@example.com");
    const own = await oauth.clientCredentialsGrantRequest(server, client, authentication, { scope: "users:read" }, http);
    assert.ok((await oauth.processClientCredentialsResponse(server, client, own)).access_token);
  }
  const revoked = await oauth.revocationRequest(server, client, authentication, refreshed.refresh_token, http);
  await oauth.processRevocationResponse(revoked);
  const dead = await oauth.refreshTokenGrantRequest(server, client, authentication, refreshed.refresh_token, http);
  await assert.rejects(oauth.processRefreshTokenResponse(server, client, dead), { error: "invalid_grant" });
}

async function byOpenidClient() {
  const config = await openid.discovery(issuer, CLIENT_ID, CLIENT_SECRET, undefined, {
    algorithm: "oauth2",
    execute: [openid.allowInsecureRequests],
  });
  const verifier = openid.randomPKCECodeVerifier();
  const state = openid.randomState();
  const link = openid.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT_URI,
    scope: "users:read",
    state,
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const tokens = await openid.authorizationCodeGrant(config, await allow(link), { pkceCodeVerifier: verifier, expectedState: state });
  const refreshed = await openid.refreshTokenGrant(config, tokens.refresh_token);
  assert.equal((await openid.tokenIntrospection(config, refreshed.access_token)).active, true);
  await openid.tokenRevocation(config, refreshed.access_token);
  assert.equal((await openid.tokenIntrospection(config, refreshed.access_token)).active, false);
}

await byOauth4webapi({ client_id: CLIENT_ID }, oauth.ClientSecretBasic(CLIENT_SECRET));
await byOauth4webapi({ client_id: CLIENT_ID }, oauth.ClientSecretPost(CLIENT_SECRET));
await byOauth4webapi({ client_id: PUBLIC_ID }, oauth.None());
await byOpenidClient();
