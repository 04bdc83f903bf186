"""Subscriptions: who receives what, one with all that was tried, what may be ordered. A partner's user has its own."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import UUID

from nicegui import ui
from starlette.requests import Request

from engine.errors import Fault
from gateway.console import queries
from gateway.console.markup import Markup, join, tag
from gateway.console.orders import Whose, whose
from gateway.console.pages import alerts, frame, subscriptions
from gateway.console.pieces import notice
from gateway.console.queries import Page, SubscriptionFilter, SubscriptionRow
from gateway.console.reads import Answer
from gateway.console.rights import Right, User
from gateway.console.screens.house import CALM_S, LIVE_S, House, Visit, button, field, html, page_at
from gateway.console.words import Speech
from schemas.subscriptions import PUSHED


class SubscriptionScreens:
    """The list, and one subscription."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/subscriptions", self.subscriptions)
        page_at("/subscriptions/{key}", self.subscription)

    async def subscriptions(self, request: Request) -> None:
        visit = self._house.visit(request)
        chosen = SubscriptionFilter(*(visit.query.get(name, "")[:200] for name in SubscriptionFilter._fields))
        with self._house.page(visit, "subscriptions", "subscriptions.title") as say:
            if not self._house.may_own(visit, say):
                return
            html(subscriptions.filter_form(say, chosen))

            async def build(say: Speech) -> Markup:
                page = await self._listed(chosen, _owner(visit.user))
                return subscriptions.list_section(say, page.value, chosen)

            await self._house.live(visit, build, CALM_S)

    async def subscription(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "subscriptions", "subscription", beside=key) as say:
            if not self._house.may_own(visit, say):
                return
            row = await self._house.guarded(say, self._one(visit, key))
            if row is None:
                html(subscriptions.missing(say, key))
                return
            row_id = UUID(row.subscription_id)

            async def build(say: Speech) -> Markup:
                row, own = await self._one(visit, key), self._house.own
                endpoint = await own.read(lambda cursor: queries.kept_endpoint(cursor, row_id))
                if row is None or endpoint is None:
                    return subscriptions.missing(say, key)
                positions = await own.read(lambda cursor: queries.kept_positions(cursor, row_id))
                return join(frame.title(row.partner), subscriptions.sheet(say, row, endpoint, positions))

            async def told(say: Speech) -> Markup:
                if await self._one(visit, key) is None:
                    return Markup("")
                own = self._house.own
                letters = await own.read(lambda cursor: queries.kept_letters(cursor, row_id))
                attempts = await own.read(lambda cursor: queries.kept_attempts(cursor, row_id))
                deeds = await own.read(lambda cursor: queries.kept_deeds(cursor, "subscription", str(row_id)))
                if not visit.user.may(Right.SEE_ALL):  # a partner learns what was done, not which of our people did it
                    names = {visit.user.name: visit.user.name}
                    deeds = [deed._replace(done_by=names.get(deed.done_by, say("somebody_else"))) for deed in deeds]
                tried = (subscriptions.letters_section(say, letters), subscriptions.attempts_section(say, attempts))
                return join(*(tried if row.protocol in PUSHED else ()), alerts.deeds_section(say, deeds))

            await self._house.live(visit, build, LIVE_S)
            who = whose(visit.user)
            if who is not None:
                await self._orders(visit, say, key, row, who)
            await self._house.live(visit, told, LIVE_S)

    async def _orders(self, visit: Visit, say: Speech, key: str, row: SubscriptionRow, who: Whose) -> None:
        """Hold it, let it go on, send again. The lifecycle decides; the page shows what it decided."""
        row_id = UUID(row.subscription_id)
        orders, house = self._house.orders, self._house

        async def noted(user: User, order: Callable[[User, UUID, str], Awaitable[None]]) -> None:
            await order(user, row_id, note.value or "" if note else "")
            if note:
                note.set_value("")

        with ui.element("section").classes("handles"):
            html(tag("h2", say("handle")))
            with ui.element("div").classes("row"):
                resume = button(say("resume"), lambda: house.do(visit, orders.resume, row_id), main=True)
                note = field(say("note_to_partner"), "note") if who.by == "operator" else None
                pause = button(say("pause"), lambda: house.do(visit, noted, orders.pause))
                disable = button(say("disable"), lambda: house.do(visit, noted, orders.disable))
                disable.set_visibility(who.by == "operator")
            if row.protocol == "KAFKA":
                html(notice(say("kafka_follows")))
            redrive = self._sending(visit, say, row_id) if row.protocol in PUSHED else None

        async def fit() -> None:
            """Only what the lifecycle would take can be pressed."""
            with suppress(Fault):  # the live part says that the database is away
                current = await self._one(visit, key) or row
                resume.set_enabled(current.state in {"paused", "disabled"})
                pause.set_enabled(current.state in {"pending_validation", "enabled"})
                disable.set_enabled(current.state in {"pending_validation", "enabled", "paused"})
                if redrive is not None:
                    redrive.set_enabled(current.dead_letters > 0)

        await fit()
        visit.every(LIVE_S, fit)

    def _sending(self, visit: Visit, say: Speech, row_id: UUID) -> ui.button:
        """Send again: dead letters, or a range of numbers. Returns the button for dead letters."""
        orders, house = self._house.orders, self._house

        def told(count: int) -> None:
            say = house.speech(visit)
            text = say("sent_again", count=f"{count:,}") if count else say("sent_again_none")
            ui.notify(text, type="positive" if count else "warning")

        async def redrive(user: User) -> None:
            told(await orders.redrive(user, row_id))

        async def replay(user: User) -> None:
            told(await orders.replay(user, row_id, first.value or "", last.value or ""))

        with ui.element("div").classes("row"):
            letters = button(say("redrive"), lambda: house.do(visit, redrive, is_quiet=True))
            first = field(say("first_number"), "first").props("inputmode=numeric")
            last = field(say("last_number_of"), "last").props("inputmode=numeric")
            button(say("replay_range"), lambda: house.do(visit, replay, is_quiet=True))
        return letters

    async def _one(self, visit: Visit, key: str) -> SubscriptionRow | None:
        try:
            row_id = UUID(key)
        except ValueError:
            return None
        return await self._house.views.read(lambda cursor: queries.subscription(cursor, row_id, _owner(visit.user)))

    async def _listed(self, chosen: SubscriptionFilter, owner: str | None) -> Answer[Page[SubscriptionRow]]:
        key = ("subscriptions", chosen, owner)
        return await self._house.kept_view(key, lambda cursor: queries.subscriptions(cursor, chosen, owner))


def _owner(user: User) -> str | None:
    """None: everybody's."""
    return None if user.may(Right.SEE_ALL) else user.partner_id
