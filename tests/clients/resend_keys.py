"""Resend's package for Python, unchanged but for its base URL, against a Keyrack: keys are made, listed, renamed and
removed, and what goes wrong raises the package's own exceptions."""

import os

import resend
from resend.exceptions import (
    InvalidApiKeyError,
    MissingApiKeyError,
    MissingRequiredFieldsError,
    RateLimitError,
    ResendError,
)

resend.api_url = os.environ["BASE_URL"]
KEY = resend.api_key = os.environ["KEY"]


def error_of(key, call, *args):
    """What the call raises with this key: the very class, and the error."""
    resend.api_key = key
    try:
        call(*args)
    except ResendError as error:
        return type(error), error
    finally:
        resend.api_key = KEY
    raise AssertionError("nothing was raised")


made = resend.ApiKeys.create({"name": "Production"})
assert made["token"].startswith("re_"), made

# The new key works at once, and may do as much.
resend.api_key = made["token"]
listed = resend.ApiKeys.list()
resend.api_key = KEY
assert listed["object"] == "list" and listed["has_more"] is False
assert listed["data"][0]["id"] == made["id"], "newest first"
assert set(listed["data"][0]) == {"id", "name", "created_at", "last_used_at"}

renamed = resend.ApiKeys.update({"id": made["id"], "name": "Staging"})
assert (renamed["object"], renamed["id"]) == ("api_key", made["id"])
second = resend.ApiKeys.create({"name": "Second", "permission": "full_access"})
page = resend.ApiKeys.list({"limit": 1})
assert page["has_more"] and [key["id"] for key in page["data"]] == [second["id"]]
after = resend.ApiKeys.list({"limit": 1, "after": second["id"]})
assert after["data"][0]["name"] == "Staging"

sender = resend.ApiKeys.create({"name": "Sender", "permission": "sending_access"})
_, error = error_of(sender["token"], resend.ApiKeys.list)
assert (error.code, error.error_type) == (401, "restricted_api_key")

removed = resend.ApiKeys.remove(made["id"])
assert (removed["object"], removed["id"], removed["deleted"]) == ("api_key", made["id"], True)
assert made["id"] not in [key["id"] for key in resend.ApiKeys.list()["data"]]

kind, _ = error_of(KEY, resend.ApiKeys.create, {})
assert kind is MissingRequiredFieldsError, kind
kind, error = error_of("", resend.ApiKeys.list)
assert kind is MissingApiKeyError, (kind, error)
kind, error = error_of("re_wrong", resend.ApiKeys.list)
assert kind is InvalidApiKeyError and error.code == 403, (kind, error)
kind, _ = error_of(made["token"], resend.ApiKeys.list)
assert kind is InvalidApiKeyError, kind

limited = os.environ["LIMITED_KEY"]
resend.api_key = limited
resend.ApiKeys.list()
kind, error = error_of(limited, resend.ApiKeys.list)
assert kind is RateLimitError and error.code == 429, (kind, error)
headers = {name.lower(): value for name, value in error.headers.items()}
assert headers["retry-after"] == "60" and headers["ratelimit-remaining"] == "0"
