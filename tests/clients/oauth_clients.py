"""Authlib and requests-oauthlib, unchanged, against a Keyrack: discovery, code with PKCE, refresh, introspection, revocation."""

import os

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from requests_oauthlib import OAuth2Session

BASE, AGENT, REDIRECT = os.environ["BASE_URL"], os.environ["USER_AGENT_URL"], os.environ["REDIRECT_URI"]
CLIENT_ID, CLIENT_SECRET = os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]
# Both refuse plain HTTP otherwise, even on this machine.
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

server = requests.get(f"{BASE}/.well-known/oauth-authorization-server").json()


def allow(link):
    """What a person's browser does with a link: signs in, allows, and is sent back."""
    return requests.get(AGENT, params={"link": link}).text


def who_am_i(token):
    answer = requests.get(f"{BASE}/v1/users/me", headers={"Authorization": f"Bearer {token}"})
    return answer.json().get("email", answer.status_code)


def by_authlib(method):
    session = AuthlibSession(
        CLIENT_ID, CLIENT_SECRET, scope="read write", redirect_uri=REDIRECT, code_challenge_method="S256",
        token_endpoint_auth_method=method, revocation_endpoint_auth_method=method,
    )
    verifier = generate_token(48)
    link, state = session.create_authorization_url(server["authorization_endpoint"], code_verifier=verifier)
    token = session.fetch_token(
        server["token_endpoint"], authorization_response=allow(link), state=state, code_verifier=verifier
    )
    assert token["scope"] == "read write", token
    assert session.get(f"{BASE}/v1/users/me").json()["email"] == "reader@example.com"
    refreshed = session.refresh_token(server["token_endpoint"], refresh_token=token["refresh_token"])
    told = session.introspect_token(server["introspection_endpoint"], token=refreshed["access_token"]).json()
    assert told["active"] and told["client_id"] == CLIENT_ID, told
    assert session.revoke_token(server["revocation_endpoint"], token=refreshed["refresh_token"]).status_code == 200
    assert who_am_i(refreshed["access_token"]) == 401


def by_requests_oauthlib():
    session = OAuth2Session(CLIENT_ID, redirect_uri=REDIRECT, scope=["read", "write"], pkce="S256")
    link, _ = session.authorization_url(server["authorization_endpoint"])
    token = session.fetch_token(server["token_endpoint"], authorization_response=allow(link), client_secret=CLIENT_SECRET)
    assert session.get(f"{BASE}/v1/users/me").json()["email"] == "reader@example.com"
    refreshed = session.refresh_token(
        server["token_endpoint"], refresh_token=token["refresh_token"], client_id=CLIENT_ID, client_secret=CLIENT_SECRET
    )
    assert who_am_i(refreshed["access_token"]) == "reader@example.com"
    credentials = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "token": refreshed["access_token"]}
    assert requests.post(server["introspection_endpoint"], data=credentials).json()["active"]
    assert requests.post(server["revocation_endpoint"], data=credentials).status_code == 200
    assert who_am_i(refreshed["access_token"]) == 401


by_authlib("client_secret_basic")
by_authlib("client_secret_post")
by_requests_oauthlib()
