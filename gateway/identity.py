"""Who asks, and what that partner may do. Pure: tokens, scopes, sources.

A right is a scope, `operation:pattern`:

| scope | gives |
| --- | --- |
| publish:gov.stiib.research.* | to publish events whose type begins so; without the star, that one type |
| subscribe:gov.stiib.infra.* | to receive them, as far as they are public |
| clearance:internal, clearance:restricted | to receive what is classified so; restricted includes internal |
| only:subject=P-2026*, only:source=/partners/institute, … | of all that, only events with such an attribute: see below |
| call:/hooks/alertmanager/plant-7 | to use that path of the gateway: webhooks of monitors, /metrics |

`only:` narrows what is received by any attribute of events, an extension too. Patterns of one attribute are alternatives, every
attribute that is named must fit, and an event without it is withheld.

The partner's scopes and the token's must both allow; a token without scopes has all of its partner's.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Literal

from gateway import catalogue
from gateway.languages import Text
from gateway.limits import Allowance
from gateway.problems import Place, Problem
from gateway.sources import SOURCE_CHARS_MAX, nearest
from schemas.cloudevents import CloudEvent
from schemas.subscriptions import allows

Operation = Literal["publish", "subscribe", "call"]

TOKEN_BYTES: Final = 32
TOKEN_MARK: Final = "dj_"  # noqa: S105 - lets scanners of repositories find a token that was checked in
TOKEN: Final = re.compile(r"dj_[A-Za-z0-9_-]{43}")
COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")  # a JWT as headers carry it (gateway/signed.py)
PREFIX_CHARS: Final = len(TOKEN_MARK) + 8
SCOPE: Final = re.compile(
    r"(?:publish|subscribe):[a-z0-9.]*\*?|clearance:(?:internal|restricted)|call:/[A-Za-z0-9._/-]*\*?|only:[a-z0-9]{1,20}=\S+"
)
PARTNER_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SOURCE: Final = re.compile(rf"[!-~]{{1,{SOURCE_CHARS_MAX}}}")
# `.` or `..` between slashes, percent-encoded or not: whoever resolves it (RFC 3986, 5.2.4) stands in another's tree.
DOT_SEGMENT: Final = re.compile(r"(?:^|/|%2f|%5c)(?:\.|%2e){1,2}(?=$|[/?#]|%2f|%5c)", re.IGNORECASE)
SCOPES_MAX: Final = 50
SOURCES_MAX: Final = 10
SCOPE_CHARS_MAX: Final = 255
REALM: Final = 'Bearer realm="dujiang"'


@dataclass(frozen=True, slots=True)
class Partner:
    """What a partner may do, and how much. `parted`: below its sources, given to others (gateway/sources.py)."""

    partner_id: str
    scopes: tuple[str, ...]
    sources: tuple[str, ...]
    allowance: Allowance
    parted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Identity:
    """A partner as one of its tokens shows it. Of a signed token `kid` names the key, `jti` the token, which works once."""

    partner: Partner
    scopes: tuple[str, ...]
    expires_at: datetime
    kid: str | None = None
    jti: str | None = None

    def may(self, operation: Operation, what: str) -> bool:
        """Whether this token lets its partner do that to this type, or on this path."""
        return all(allows(scopes, f"{operation}:{what}") for scopes in self.all_scopes)

    def may_receive(self) -> bool:
        """Whether there is any type that it lets its partner receive."""
        return all(any(scope.startswith("subscribe:") for scope in scopes) for scopes in self.all_scopes)

    @property
    def all_scopes(self) -> tuple[tuple[str, ...], ...]:
        """Each list must allow: the partner's, and the token's if it has one."""
        return (self.partner.scopes, self.scopes) if self.scopes else (self.partner.scopes,)

    def owns(self, source: str) -> bool:
        """Whether the partner may speak as this source: one of its own, or one below that is not given to another.

        Nobody may by way of a dot segment.
        """
        own = nearest(source, self.partner.sources)
        return bool(own) and len(own) >= len(nearest(source, self.partner.parted)) and not DOT_SEGMENT.search(source)


def refuse_ungranted(identity: Identity, events: Sequence[CloudEvent], *, is_batch: bool) -> None:
    """Raises Problem that names every event of a type or source that is not granted."""
    pairs = {(event.type, event.source) for event in events}
    if all(identity.may("publish", wire_type) and identity.owns(source) for wire_type, source in pairs):
        return
    places = [
        place._replace(pointer=f"/{index}{place.pointer}") if is_batch else place
        for index, event in enumerate(events)
        for place in ungranted(identity, event)
    ]
    raise right_missing(places, len(events))


def ungranted(identity: Identity, event: CloudEvent) -> list[Place]:
    """What of the event its publisher has no right to: its type, its source, both or nothing."""
    places = []
    if not identity.may("publish", event.type):
        places.append(Place("type_not_granted", "/type", _TYPE_NOT_GRANTED))
    if not identity.owns(event.source):
        places.append(Place("source_not_granted", "/source", _SOURCE_NOT_GRANTED))
    return places


def right_missing(places: Sequence[Place] = (), events: int = 1) -> Problem:
    """403, as RFC 6750 has it."""
    kind = catalogue.RIGHT_MISSING
    detail = places[0].detail if places else kind.meaning
    return Problem(kind, detail, places, headers={"www-authenticate": f'{REALM}, error="insufficient_scope"'}, events=events)


_TYPE_NOT_GRANTED = Text("the token does not let you publish this type", "令牌不允许发布该类型")
_SOURCE_NOT_GRANTED = Text("this source is not one of yours", "该来源不属于您")


def bearer_token(values: Sequence[bytes]) -> str:
    """The token of the Authorization headers, an API token or a JWT by its form. Raises Problem."""
    if not values:
        kind = catalogue.TOKEN_MISSING
        raise Problem(kind, kind.meaning, headers={"www-authenticate": REALM})
    scheme, _, token = values[0].decode("latin-1").partition(" ")
    token = token.strip()
    if len(values) > 1 or scheme.lower() != "bearer" or not (TOKEN.fullmatch(token) or COMPACT.fullmatch(token)):
        raise token_invalid()
    return token


def token_invalid() -> Problem:
    """401. Unknown, expired and revoked sound alike: whoever guesses learns nothing."""
    kind = catalogue.TOKEN_INVALID
    return Problem(kind, kind.meaning, headers={"www-authenticate": f'{REALM}, error="invalid_token"'})


def new_token() -> str:
    """256 random bits: nothing to guess, so a plain hash is enough at rest."""
    return TOKEN_MARK + secrets.token_urlsafe(TOKEN_BYTES)


def digest_of(token: str) -> bytes:
    """What is stored of a token."""
    return sha256(token.encode()).digest()


def prefix_of(token: str) -> str:
    """What people call it by."""
    return token[:PREFIX_CHARS]
