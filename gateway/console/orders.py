"""What people may order for subscriptions: hold, let go on, send again. On record in the transaction that does it.

The lifecycle decides (schemas/subscriptions/lifecycle.py), as for the gateway and the commands. An operator orders for all, a
partner's user for what is its partner's, and only what the partner could order by HTTP too.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import Cursor

from engine.audit import act_as, by_operator, by_partner
from engine.clock import Clock
from engine.subscriptions import deliveries, register
from gateway.console.deeds import DeedRefused, text_of
from gateway.console.rights import Right, Role, User
from gateway.console.users import record
from gateway.store import Store
from schemas.subscriptions import NotAllowed, Order, Subscription, state_at
from schemas.subscriptions.model import Actor

NOTE_CHARS_MAX: Final = 500
NUMBER_MAX: Final = 2**62


class Whose(NamedTuple):
    """For whom somebody orders. owner None: for everybody."""

    by: Actor
    owner: str | None


def whose(user: User) -> Whose | None:
    """None: this user orders nothing."""
    if user.may(Right.HOLD_SUBSCRIPTIONS):
        return Whose("operator", None)
    if user.role is Role.PARTNER and user.partner_id:
        return Whose("partner", user.partner_id)
    return None


class Orders:
    """Each raises DeedRefused when it cannot be, and a Fault."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def pause(self, user: User, subscription_id: UUID, note: str) -> None:
        """What comes meanwhile waits, within retention. An operator says why; the partner reads it."""
        who = _who(user)
        await self._move(user, subscription_id, Order("pause", "paused", who.by, _note(note, who)))

    async def resume(self, user: User, subscription_id: UUID) -> None:
        """Let it go on. A webhook that was disabled is validated anew."""
        await self._move(user, subscription_id, Order("resume", "resumed", _who(user).by))

    async def disable(self, user: User, subscription_id: UUID, note: str) -> None:
        """End deliveries until an operator resumes it."""
        who = _who(user)
        if who.by != "operator":
            raise DeedRefused("refused_why", role=user.role)
        await self._move(user, subscription_id, Order("disable", "disabled", who.by, _note(note, who)))

    async def redrive(self, user: User, subscription_id: UUID) -> int:
        """Send all dead letters again that wait. Returns how many."""
        now = self._clock.now()

        def work(cursor: Cursor[Any]) -> int:
            count = deliveries.redrive(cursor, subscription_id, None, user.name, now)
            if count:
                record(cursor, user.name, "redrive", "subscription", str(subscription_id), {"count": count})
            return count

        return await self._for(user, subscription_id, work)

    async def replay(self, user: User, subscription_id: UUID, first: str, last: str) -> int:
        """Send again what was acknowledged under these numbers. Returns how many."""
        numbers = _numbers(first, last)

        def work(cursor: Cursor[Any]) -> int:
            count = deliveries.replay(cursor, subscription_id, *numbers, user.name)
            if count:
                detail = {"count": count, "first": numbers[0], "last": numbers[1]}
                record(cursor, user.name, "replay_range", "subscription", str(subscription_id), detail)
            return count

        return await self._for(user, subscription_id, work)

    async def _move(self, user: User, subscription_id: UUID, order: Order) -> None:
        who, now = _who(user), self._clock.now()
        owner = who.owner

        def work(cursor: Cursor[Any]) -> None:
            act_as(cursor, _actor(user, who))
            found = register.find(cursor, subscription_id, owner, for_update=True)
            if found is None:
                raise _unknown(subscription_id)
            _refuse_expired(found, order, state_at(found.status, found.expires_at, now))
            moved = register.move(cursor, subscription_id, order, now, owner)
            if isinstance(moved, NotAllowed):
                word = "order_held" if moved.reason == "held_by_operator" else "order_refused"
                raise DeedRefused(word, sub_state=moved.state)
            detail = {"text": order.note} if order.note else {}
            record(cursor, user.name, order.verb, "subscription", str(subscription_id), detail)

        await self._store.call(work)

    async def _for(self, user: User, subscription_id: UUID, work: Callable[[Cursor[Any]], int]) -> int:
        who = _who(user)

        def if_known(cursor: Cursor[Any]) -> int:
            if register.find(cursor, subscription_id, who.owner) is None:
                raise _unknown(subscription_id)
            act_as(cursor, _actor(user, who))
            return work(cursor)

        return await self._store.call(if_known)


def _refuse_expired(found: Subscription, order: Order, state: str) -> None:
    """An expiry that nobody has written down yet holds all the same."""
    if state == "expired" and found.status.state != "expired" and order.verb != "disable":
        raise DeedRefused("order_refused", sub_state="expired")


def _unknown(subscription_id: UUID) -> DeedRefused:
    return DeedRefused("missing_why", what="subscription", key=subscription_id)


def _who(user: User) -> Whose:
    who = whose(user)
    if who is None:
        raise DeedRefused("refused_why", role=user.role)
    return who


def _actor(user: User, who: Whose) -> str:
    """As the log of changes calls them: a partner by its id, as over HTTP, or its own order would come back as a notice."""
    return by_operator(user.name) if who.owner is None else by_partner(who.owner)


def _note(note: str, who: Whose) -> str | None:
    """An operator's hold is explained to its partner."""
    note = " ".join(text_of(note)[:NOTE_CHARS_MAX].split())
    if not note and who.by == "operator":
        raise DeedRefused("reason_missing")
    return note if who.by == "operator" else None


def _numbers(first: str, last: str) -> tuple[int, int]:
    try:
        numbers = int(first), int(last)
    except ValueError:
        raise DeedRefused("numbers_wrong") from None
    if not 1 <= numbers[0] <= numbers[1] <= NUMBER_MAX:
        raise DeedRefused("numbers_wrong")
    return numbers
