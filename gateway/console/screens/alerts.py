"""Alerts, and what people do with them."""

from collections.abc import Sequence
from contextlib import suppress

from nicegui import ui
from starlette.requests import Request

from engine.errors import Fault
from gateway.console import queries
from gateway.console.deeds import DeedRefused
from gateway.console.markup import Markup, join, tag
from gateway.console.pages import alerts, frame
from gateway.console.pages.story import story_section
from gateway.console.queries import AlertFilter, AlertRow, Assignment, Page
from gateway.console.rights import Right, User
from gateway.console.screens.house import CALM_S, LIVE_S, House, Visit, button, field, html, page_at
from gateway.console.words import Speech
from schemas.topics import ALERT_EVENT


class AlertScreens:
    """Alerts, and what people do with them."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/alerts", self.alerts)
        page_at("/alerts/{key:path}", self.alert)

    async def alerts(self, request: Request) -> None:
        visit = self._house.visit(request)
        chosen = AlertFilter(*(visit.query.get(name, "")[:200] for name in AlertFilter._fields))
        chosen = chosen if chosen.show in alerts.SHOWS else chosen._replace(show="waiting")
        with self._house.page(visit, "alerts", "alerts.title") as say:
            if not self._house.may(visit, say):
                return
            html(alerts.filter_form(say, chosen))
            await self._house.live(visit, self._day, CALM_S)
            drawn: list[str] = []

            async def build(say: Speech) -> Markup:
                page, assigned = await listed(self._house, visit.user, chosen)
                drawn[:] = [row.alert_key for row in page.rows]
                return alerts.list_section(say, page, assigned)

            await self._house.live(visit, build, LIVE_S)
            if visit.user.may(Right.HANDLE_ALERTS) and chosen.show == "waiting":
                await self._silence_shown(visit, say, drawn)

    async def _day(self, say: Speech) -> Markup:
        return alerts.day_section(say, (await self._house.kept_view("alerts by hour", queries.alerts_by_hour)).value)

    async def alert(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "alerts", "alert", beside=key) as say:
            if not self._house.may(visit, say):
                return
            row = await self._house.guarded(say, self._house.views.read(lambda cursor: queries.alert(cursor, key)))
            if row is None:
                html(alerts.missing(say, key))
                return

            async def build(say: Speech) -> Markup:
                row = await self._house.views.read(lambda cursor: queries.alert(cursor, key))
                if row is None:
                    return alerts.missing(say, key)
                assigned = await self._house.own.read(lambda cursor: queries.kept_assignments(cursor, [key]))
                return join(frame.title(row.title or key), alerts.sheet(say, row, alerts.assignee(row, assigned)))

            async def told(say: Speech) -> Markup:
                row = await self._house.views.read(lambda cursor: queries.alert(cursor, key))
                deeds = await self._house.own.read(lambda cursor: queries.kept_deeds(cursor, "alert", key))
                story = await self._house.story("alerts", ALERT_EVENT.name, key)
                condition = row.condition if row else None
                return join(alerts.deeds_section(say, deeds), story_section(say, story, condition, "condition"))

            await self._house.live(visit, build, LIVE_S)
            if visit.user.may(Right.HANDLE_ALERTS):
                names = await self._house.guarded(say, self._house.own.read(queries.kept_user_names)) or []
                await self._handles(visit, say, key, row, names)
            await self._house.live(visit, told, LIVE_S)

    async def _handles(self, visit: Visit, say: Speech, key: str, row: AlertRow, names: list[str]) -> None:
        """Acknowledge, close, assign, comment. The rules decide; the page shows what they decided."""
        with ui.element("section").classes("handles"):
            html(tag("h2", say("handle")))
            with ui.element("div").classes("row"):
                acknowledge = button(
                    say("acknowledge"), lambda: self._house.do(visit, self._house.deeds.acknowledge, key), main=True
                )
                text = field(say("reason"), "reason")
                close = button(say("close"), lambda: self._house.do(visit, self._close, key, text))
            with ui.element("div").classes("row"):
                hours = _spans(say)
                why = field(say("silence_why"), "silence_why")
                button(say("silence"), lambda: self._house.do(visit, self._silence, [key], hours, why))
                unsilence = button(say("unsilence"), lambda: self._house.do(visit, self._house.deeds.unsilence, key))
            with ui.element("div").classes("row"):
                whom = ui.select(names, value=visit.user.name if visit.user.name in names else None, label=say("assign_to"))
                whom.classes("field").props("dense outlined options-dense")
                assign = button(say("assign"), lambda: self._house.do(visit, self._assign, key, whom.value or ""))
                said = field(say("comment"), "comment")
                button(say("say"), lambda: self._house.do(visit, self._say, "alert", key, said))

            async def fit() -> None:
                """Only what the rules would take can be pressed."""
                with suppress(Fault):
                    current = await self._house.views.read(lambda cursor: queries.alert(cursor, key)) or row
                    acknowledge.set_enabled(current.handling == "open")
                    close.set_enabled(current.handling != "closed")
                    assign.set_enabled(current.handling != "closed")
                    unsilence.set_enabled(current.silenced_until is not None)
                    fresh = self._house.speech(visit)
                    close.set_text(fresh("close_forced") if current.condition == "firing" else fresh("close"))

            await fit()
            visit.every(LIVE_S, fit)

    async def _close(self, user: User, key: str, field: ui.input) -> None:
        row = await self._house.views.read(lambda cursor: queries.alert(cursor, key))
        is_firing = row is not None and row.condition == "firing"
        await self._house.deeds.close(user, key, field.value or "", is_forced=is_firing)
        field.set_value("")

    async def _silence(self, user: User, keys: Sequence[str], hours: ui.select, why: ui.input) -> None:
        await self._house.deeds.silence(user, keys, int(hours.value), why.value or "")
        why.set_value("")

    async def _silence_shown(self, visit: Visit, say: Speech, drawn: Sequence[str]) -> None:
        """For what one cause makes fire: narrow the list by monitor or words, then quiet for all of it.

        `drawn`: what the list shows, kept up by whoever draws it. What came since is not silenced: nobody has seen it.
        """

        async def silence(user: User) -> None:
            keys = list(drawn)
            await self._silence(user, keys, hours, why)
            ui.notify(self._house.speech(visit)("silenced_count", count=len(keys)), type="positive")

        with ui.element("section").classes("handles"):
            html(tag("h2", say("silence_shown")))
            with ui.element("div").classes("row"):
                hours = _spans(say)
                why = field(say("silence_why"), "silence_why")
                button(say("silence_shown"), lambda: self._house.do(visit, silence, is_quiet=True))

    async def _assign(self, user: User, key: str, to: str) -> None:
        row = await self._house.views.read(lambda cursor: queries.alert(cursor, key))
        if row is None or not to:
            raise DeedRefused("missing_why", what="user", key=to)
        await self._house.deeds.assign(user, key, to, row.episodes)

    async def _say(self, user: User, kind: str, key: str, field: ui.input) -> None:
        await self._house.deeds.comment(user, kind, key, field.value or "")
        field.set_value("")


async def listed(house: House, user: User, chosen: AlertFilter) -> tuple[Page[AlertRow], dict[str, Assignment]]:
    """Alerts, and whose they are; with `mine` the user's own alone."""
    keys = None
    if chosen.show == "mine":
        keys = await house.own.read(lambda cursor: queries.kept_assigned_to(cursor, user.name))
    page = await house.views.read(lambda cursor: queries.alerts(cursor, chosen, keys))
    shown = [row.alert_key for row in page.rows]
    assigned = await house.own.read(lambda cursor: queries.kept_assignments(cursor, shown))
    if chosen.show == "mine":
        page = page._replace(rows=[row for row in page.rows if alerts.assignee(row, assigned) == user.name])
    return page, assigned


def _spans(say: Speech) -> ui.select:
    """How long the quiet is to last."""
    spans = alerts.silence_spans(say)
    return (
        ui.select(spans, value=next(iter(spans)), label=say("silence_for"))
        .classes("field")
        .props("dense outlined options-dense")
    )
