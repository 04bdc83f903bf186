"""OAuth 2.0 client credentials towards subscribers (RFC 6749, 4.4): their own token endpoint gives what deliveries show.

The token endpoint is a stranger like the endpoint itself: the same guard against forged requests, limits, no redirects.
A token is kept until shortly before it ends, for its subscription alone; a 401 fetches another, once for each attempt.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import quote_plus, urlencode

import msgspec

from engine.clock import Clock
from sinks.webhooks.schedule import Answer

LIFETIME_S: Final = 300.0  # of a token whose endpoint does not say
LIFETIME_S_MAX: Final = 86_400.0
MARGIN_S: Final = 30.0  # or a quarter of a short life
REFUSED_S: Final = 5.0  # a token endpoint that gives none is left alone for so long
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{1,6000}=*")
_CODE: Final = re.compile(r"[a-z_]{1,40}")
# What a stranger's bytes raise besides: text that is no UTF-8 (GBK, say), and nesting without end.
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Fetch = Callable[[str, bytes, Mapping[str, str]], Awaitable[tuple[Answer, bytes]]]
Send = Callable[[str, bytes, Mapping[str, str]], Awaitable[Answer]]


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscriber gave us: stored whole as a secret, shown to nobody."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str | None = None

    def __repr__(self) -> str:
        return f"Credentials(token_url={self.token_url!r}, client_id={self.client_id!r})"


def stored(credentials: Credentials) -> bytes:
    """As the table of secrets keeps it."""
    return msgspec.json.encode(credentials)


def loaded(secret: bytes) -> Credentials:
    return _decode(secret)


class _Given(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: float | None = None


# Made once: see sinks/storage/objects.py
_decode = msgspec.json.Decoder(Credentials).decode
_decode_given = msgspec.json.Decoder(_Given, strict=False).decode


class Tokens:
    """A subscription's token. Attempts that need one at once wait for the same answer."""

    def __init__(self, credentials: Credentials, fetch: Fetch, clock: Clock) -> None:
        self._credentials = credentials
        self._fetch = fetch
        self._clock = clock
        self._asking = asyncio.Lock()
        self._token: str | None = None
        self._until_s = float("-inf")
        self._refusal: Answer | None = None
        self._refused_until_s = float("-inf")

    async def get(self) -> str | Answer:
        """A token that is still good for a while, or what an attempt without one came to."""
        async with self._asking:
            now_s = self._clock.monotonic_s()
            if self._token is not None and now_s < self._until_s:
                return self._token
            if self._refusal is not None and now_s < self._refused_until_s:
                return self._refusal
            self._token = None
            found = await self._asked(now_s)
            if isinstance(found, Answer):
                self._refusal, self._refused_until_s = found, self._clock.monotonic_s() + REFUSED_S
            else:
                self._token, self._refusal = found, None
            return found

    def forget(self, token: str) -> None:
        """The endpoint does not take this one any more. Another attempt may have got a new one meanwhile: that stays."""
        if self._token == token:
            self._token = None

    async def _asked(self, now_s: float) -> str | Answer:
        body, headers = token_request(self._credentials)
        answer, content = await self._fetch(self._credentials.token_url, body, headers)
        if answer.outcome != "acknowledged":
            return _refused(answer, content)
        try:
            given = _decode_given(content)  # some write seconds as text
        except _UNREADABLE:
            return Answer("token", detail="token endpoint: the answer is no token as RFC 6749, 5.1 has it")
        if given.token_type.lower() != "bearer" or not _TOKEN.fullmatch(given.access_token):
            return Answer("token", detail="token endpoint: the token is no bearer token")
        self._until_s = now_s + _kept_s(given.expires_in)
        return given.access_token


class Authorised:
    """Sends as `send` does, with the subscriber's token. In the place of a Sender's `post`."""

    def __init__(self, send: Send, tokens: Tokens) -> None:
        self._send = send
        self._tokens = tokens

    async def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        answer = Answer("token")
        for _ in range(2):
            token = await self._tokens.get()
            if isinstance(token, Answer):
                return token
            answer = await self._send(url, body, {**headers, "Authorization": f"Bearer {token}"})
            if answer.status != 401:
                break
            self._tokens.forget(token)
        return answer


def token_request(credentials: Credentials) -> tuple[bytes, dict[str, str]]:
    """Body and headers. The secret goes as HTTP Basic (RFC 6749, 2.3.1: each part form-encoded first)."""
    form = {"grant_type": "client_credentials"} | ({"scope": credentials.scope} if credentials.scope else {})
    pair = f"{quote_plus(credentials.client_id)}:{quote_plus(credentials.client_secret)}"
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Accept": "application/json",
        "Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}",
    }
    return urlencode(form).encode(), headers


def _kept_s(expires_in: float | None) -> float:
    life_s = LIFETIME_S if expires_in is None else min(max(0.0, expires_in), LIFETIME_S_MAX)
    return life_s - min(MARGIN_S, life_s / 4)


def _refused(answer: Answer, content: bytes) -> Answer:
    """Of what the token endpoint said only the error's code is shown: the rest may hold anything."""
    said = "no answer" if answer.status is None else f"HTTP {answer.status}"
    try:
        code = msgspec.json.decode(content).get("error") if content else None
    except (*_UNREADABLE, AttributeError):
        code = None
    shown = f" {code}" if isinstance(code, str) and _CODE.fullmatch(code) else ""
    return Answer("token", detail=f"token endpoint: {said}, {answer.outcome}{shown}")
