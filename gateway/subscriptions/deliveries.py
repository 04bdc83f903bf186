"""What a partner sees of its webhooks, and can have done: attempts, dead letters, replays, secrets."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi import APIRouter, Query, Request
from psycopg import Cursor
from starlette.responses import Response

from engine.audit import act_as, by_partner
from engine.clock import Clock
from engine.subscriptions import deliveries, register, secrets
from gateway import catalogue
from gateway.caller import Caller, caller_of
from gateway.languages import Text
from gateway.problems import Place, Problem
from gateway.store import Store, asked
from gateway.subscriptions import kinds, routes
from gateway.subscriptions.answers import answer
from gateway.subscriptions.requests import PATH
from gateway.subscriptions.service import owner_of
from schemas.subscriptions import Subscription
from sinks.webhooks.destinations import Rules
from sinks.webhooks.signing import VerifyingKey, made_key

A = TypeVar("A")

PAGE_MAX: Final = 1_000
NUMBER_MAX: Final = 2**62
OVERLAP_H_MAX: Final = 720

_TEXT: Final = {"type": "string"}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_EVENT: Final = {
    "number": _COUNT,
    "event_id": _TEXT,
    "event_source": _TEXT,
    "event_type": _TEXT,
    "reason": {"type": ["string", "null"]},
}

After = Annotated[int, Query(ge=0, le=NUMBER_MAX, description="go on behind this `id`")]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


class Deliveries:
    """The books of deliveries as their subscriber may read and change them. `store` is the caller's to close."""

    def __init__(self, store: Store, clock: Clock, destinations: Rules | None = None) -> None:
        self._store = store
        self.clock = clock
        self.destinations = destinations or Rules()

    async def call(self, subscription_id: UUID, caller: Caller | None, work: Callable[[Cursor[Any]], A]) -> A:
        """Run `work` if the subscription is the caller's. Raises Problem."""
        return await self._of(subscription_id, caller, lambda cursor, _: work(cursor))

    async def add_secret(
        self,
        subscription_id: UUID,
        caller: Caller | None,
        kind: secrets.Kind,
        secret: bytes,
        public: bytes | None = None,
        *,
        overlap: timedelta = timedelta(0),
        refused: Callable[[Subscription], Problem | None] = lambda _: None,
    ) -> int:
        """Its version; older ones of the kind hold for `overlap` yet. Raises Problem, also what `refused` says to it."""
        now = self.clock.now()

        def work(cursor: Cursor[Any], known: Subscription) -> int | Problem:
            if (problem := refused(known)) is not None:
                return problem
            try:
                return secrets.add(cursor, subscription_id, kind, secret, public, now, now + overlap)
            except secrets.SecretsFull:
                return Problem(kinds.SECRETS_TOO_MANY, kinds.SECRETS_TOO_MANY.meaning)

        version = await self._of(subscription_id, caller, work)
        if isinstance(version, Problem):
            raise version
        return version

    async def _of(self, subscription_id: UUID, caller: Caller | None, work: Callable[[Cursor[Any], Subscription], A]) -> A:
        def if_known(cursor: Cursor[Any]) -> tuple[A] | None:
            known = register.find(cursor, subscription_id, owner_of(caller))
            if known is None:
                return None
            act_as(cursor, by_partner(owner_of(caller)))
            return (work(cursor, known),)

        found = await asked(self._store, if_known)
        if found is None:
            raise Problem(kinds.SUBSCRIPTION_UNKNOWN, kinds.SUBSCRIPTION_UNKNOWN.meaning)
        return found[0]


def router(books: Deliveries) -> APIRouter:
    """For the gateway's app, beside the other addresses of subscriptions."""
    made = APIRouter(prefix=f"{PATH}/{{subscription_id}}", tags=["subscriptions"])
    _add_looking(made, books)
    _add_sending(made, books)
    _add_secrets(made, books)
    return made


def _add_looking(made: APIRouter, books: Deliveries) -> None:
    @made.get(
        "/attempts",
        summary="The trace of your webhook's deliveries",
        description="In order, of all events or of one; `outcome` is acknowledged, failed, dead_lettered or withheld.",
        responses=_described(
            "attempts",
            {"attempt": _COUNT, "started_at": _INSTANT, "outcome": _TEXT, "status": {"type": ["integer", "null"]}},
        ),
        response_class=Response,
    )
    async def attempts(
        request: Request,
        subscription_id: UUID,
        event: Annotated[str | None, Query(max_length=512, description="only of the event with this id")] = None,
        after: After = 0,
        limit: Limit = 100,
    ) -> Response:
        rows = await books.call(
            subscription_id,
            caller_of(request.scope),
            lambda cursor: deliveries.attempts_of(cursor, subscription_id, event_id=event, after_id=after, limit=limit),
        )
        return answer({"attempts": rows})

    @made.get(
        "/dead-letters",
        summary="What was given up and waits for you",
        description="Oldest first. `POST …/redrive` sends them again.",
        responses=_described("dead_letters", {"attempts": _COUNT, "message": _TEXT, "last_failed_at": _INSTANT}),
        response_class=Response,
    )
    async def dead_letters(request: Request, subscription_id: UUID, after: After = 0, limit: Limit = 100) -> Response:
        rows = await books.call(
            subscription_id,
            caller_of(request.scope),
            lambda cursor: deliveries.dead_letters(cursor, subscription_id, after, limit),
        )
        return answer({"dead_letters": rows})


def _add_sending(made: APIRouter, books: Deliveries) -> None:
    @made.post(
        "/redrive",
        status_code=202,
        summary="Send dead letters again",
        description="Under their old numbers and webhook-ids: those named by `letter`, or all that wait.",
        responses=_counted(),
        response_class=Response,
    )
    async def redrive(
        request: Request,
        subscription_id: UUID,
        letter: Annotated[list[int] | None, Query(max_length=PAGE_MAX, description="`id` of a dead letter; repeat it")] = None,
    ) -> Response:
        if letter is not None:
            letter = [one for one in letter if 0 < one < NUMBER_MAX]
        now, by = books.clock.now(), owner_of(caller_of(request.scope))
        count = await books.call(
            subscription_id,
            caller_of(request.scope),
            lambda cursor: deliveries.redrive(cursor, subscription_id, letter, by, now),
        )
        return answer({"count": count}, 202)

    @made.post(
        "/replay",
        status_code=202,
        summary="Send a range of deliveries again",
        description=(
            "What was acknowledged, `first` to `last` by its number, under the same numbers and webhook-ids, as far as the"
            f" trace goes back; {deliveries.REPLAY_MAX:,} at most."
        ),
        responses=_counted(),
        response_class=Response,
    )
    async def replay(
        request: Request,
        subscription_id: UUID,
        first: Annotated[int, Query(ge=1, le=NUMBER_MAX)],
        last: Annotated[int, Query(ge=1, le=NUMBER_MAX)],
    ) -> Response:
        if last < first:
            said = Text(
                f"'last' is {last}, before 'first', {first}; give the range from low to high",
                f"last（{last}）小于 first（{first}）",
            )
            raise Problem(catalogue.REQUEST_INVALID, said, [Place("range_empty", "/last", said)])
        by = owner_of(caller_of(request.scope))
        count = await books.call(
            subscription_id,
            caller_of(request.scope),
            lambda cursor: deliveries.replay(cursor, subscription_id, first, last, by),
        )
        return answer({"count": count}, 202)


def _add_secrets(made: APIRouter, books: Deliveries) -> None:
    @made.get(
        "/secrets",
        summary="What signs your deliveries",
        description="Every version without its secret; of v1a the public key.",
        responses=routes.responses_of(200, None, *_REFUSALS, content=_listed("secrets", {"version": _COUNT, "kind": _TEXT})),
        response_class=Response,
    )
    async def list_secrets(request: Request, subscription_id: UUID) -> Response:
        rows = await books.call(
            subscription_id, caller_of(request.scope), lambda cursor: secrets.described(cursor, subscription_id)
        )
        return answer({"secrets": [row | {"public_key": _public_text(row["public_key"])} for row in rows]})

    @made.post(
        "/secrets",
        status_code=201,
        summary="Make a new secret",
        description=(
            "`key` is what your receiver needs, shown now and never again: of v1 the shared secret (`whsec_`), of v1a our"
            " public key (`whpk_`). Older ones of the kind sign beside it for `overlap_h` hours."
        ),
        responses=routes.responses_of(
            201,
            None,
            *_REFUSALS,
            kinds.SECRETS_TOO_MANY,
            content=_object({"version": _COUNT, "kind": _TEXT, "key": _TEXT}),
        ),
        response_class=Response,
    )
    async def make_secret(
        request: Request,
        subscription_id: UUID,
        kind: Literal["v1", "v1a"] = "v1",
        overlap_h: Annotated[int, Query(ge=0, le=OVERLAP_H_MAX)] = 24,
    ) -> Response:
        made_now = made_key(kind)
        version = await books.add_secret(
            subscription_id,
            caller_of(request.scope),
            kind,
            made_now.secret,
            made_now.public,
            overlap=timedelta(hours=overlap_h),
        )
        return answer({"version": version, "kind": kind, "key": made_now.shown}, 201)


def _public_text(key: bytes | None) -> str | None:
    return None if key is None else VerifyingKey(Ed25519PublicKey.from_public_bytes(key)).text


_REFUSALS: Final = (kinds.SUBSCRIPTION_UNKNOWN, catalogue.REQUEST_INVALID)


def version_of(kind: secrets.Kind) -> dict[str, Any]:
    """What is answered to a secret of the partner's own."""
    return _object({"version": {"type": "integer", "minimum": 1}, "kind": {"const": kind}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"application/json": {"schema": schema}}


def _listed(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return _object(
        {name: {"type": "array", "items": {"type": "object", "required": list(properties), "properties": properties}}}
    )


def _described(name: str, more: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return routes.responses_of(200, None, *_REFUSALS, content=_listed(name, {"id": _COUNT, **_EVENT, **more}))


def _counted() -> dict[int | str, dict[str, Any]]:
    return routes.responses_of(202, None, *_REFUSALS, content=_object({"count": _COUNT}))
