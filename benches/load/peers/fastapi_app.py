"""FastAPI on uvicorn: the key by its SHA-256 in a dict of users, a fixed window for each key."""
import hashlib, json, os
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from limits import RateLimitItemPerHour
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import FixedWindowRateLimiter
from pydantic import BaseModel


class User(BaseModel):
    id: str
    name: str
    email: str
    account_id: str
    role: str
    status: str
    created_at: str
    updated_at: str


with open(os.environ["KEYS"]) as file:
    USERS = {key["hash"]: User(**key["user"]) for key in json.load(file)}
limit, limiter = RateLimitItemPerHour(1_000_000_000), FixedWindowRateLimiter(MemoryStorage())
app = FastAPI(openapi_url=None)


async def user(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> User:
    key = hashlib.sha256(credentials.credentials.encode()).hexdigest() if credentials else ""
    found = USERS.get(key)
    if found is None:
        raise HTTPException(401)
    if not await limiter.hit(limit, key):
        raise HTTPException(429)
    return found


@app.get("/v1/users/me")
async def me(user: Annotated[User, Depends(user)]) -> User:
    return user
