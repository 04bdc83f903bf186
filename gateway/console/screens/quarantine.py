"""The quarantine, and repairs."""

from nicegui import ui
from starlette.requests import Request

from gateway.console import queries
from gateway.console.deeds import Judged
from gateway.console.markup import Markup, join, tag
from gateway.console.pages import alerts, quarantine, reasons
from gateway.console.pieces import notice
from gateway.console.queries import HeldFilter, HeldSheet
from gateway.console.rights import Right, User
from gateway.console.screens.house import CALM_S, LIVE_S, House, Visit, button, field, html, page_at
from gateway.console.words import Speech


class QuarantineScreens:
    """The quarantine, and repairs."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/quarantine", self.quarantine)
        page_at("/quarantine/{key}", self.record)

    async def quarantine(self, request: Request) -> None:
        visit = self._house.visit(request)
        state = "all" if visit.query.get("state") == "all" else "waiting"
        source = visit.query.get("source")
        chosen = HeldFilter(state, visit.query.get("reason", "")[:200], "" if source == "-" else source)
        with self._house.page(visit, "quarantine", "quarantine.title") as say:
            if not self._house.may_own(visit, say):
                return

            async def own_part(say: Speech) -> Markup:
                own = (await self._house.own.read(queries.kept_register)).own(visit.user.partner_id or "")
                causes = await self._house.views.read(lambda cursor: queries.causes(cursor, own))
                page = await self._house.views.read(lambda cursor: queries.held(cursor, chosen, own))
                return join(
                    quarantine.causes_section(say, causes, note=say("mend_note")),
                    quarantine.records_section(say, page, chosen),
                )

            async def build(say: Speech) -> Markup:
                causes = await self._house.views.read(queries.causes)
                page = await self._house.views.read(lambda cursor: queries.held(cursor, chosen))
                hours = (await self._house.kept_view("causes by hour", queries.causes_by_hour)).value
                return join(
                    quarantine.causes_section(say, causes, note=say("by_cause_note")),
                    quarantine.day_section(say, hours),
                    quarantine.records_section(say, page, chosen),
                )

            await self._house.live(visit, build if visit.user.may(Right.SEE_ALL) else own_part, CALM_S)

    async def record(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "quarantine", "record", beside=f"#{key}") as say:
            if not self._house.may_own(visit, say):
                return
            found = await self._house.guarded(say, self._record(visit.user, key))
            if found is None:
                html(quarantine.missing(say, key))
                return

            async def build(say: Speech) -> Markup:
                record = await self._record(visit.user, key)
                return quarantine.sheet(say, record) if record else quarantine.missing(say, key)

            async def told(say: Speech) -> Markup:
                return alerts.deeds_section(
                    say, await self._house.own.read(lambda cursor: queries.kept_deeds(cursor, "quarantine", key))
                )

            await self._house.live(visit, build, LIVE_S)
            if not visit.user.may(Right.SEE_ALL):  # what people here say to each other about a record is not for its partner
                html(join(notice(say("mend_note")), quarantine.bytes_section(say, found)))
                return
            if visit.user.may(Right.SEE_RECORDS):
                html(quarantine.bytes_section(say, found))
            else:
                html(notice(say("bytes_hidden")))
            if visit.user.may(Right.REPAIR_DATA) and found.state != "replayed":
                await self._repairs(visit, say, found)
            await self._house.live(visit, told, LIVE_S)

    async def _record(self, user: User, key: str) -> HeldSheet | None:
        """None: there is none, or it is not this partner's."""
        row_id = int(key) if key.isascii() and key.isdigit() and len(key) < 19 else 0
        found = await self._house.own.read(lambda cursor: queries.kept_held(cursor, row_id))
        if found is None or user.may(Right.SEE_ALL):
            return found
        register = await self._house.own.read(queries.kept_register)
        return found if register.has(user.partner_id or "", found.event_source or "") else None

    async def _repairs(self, visit: Visit, say: Speech, record: HeldSheet) -> None:
        """Edit, judge, publish again; or set aside."""
        text = quarantine.text_of(record)
        came = quarantine.pretty_json(text) if text is not None else ""
        with ui.element("section").classes("handles"):
            html(join(tag("h2", say("repair")), tag("p", say("repair_note"), class_="note")))
            edited = ui.textarea(label=say("event"), value=came).classes("editor").props("outlined autogrow spellcheck=false")
            verdict = ui.html("", sanitize=False)

            def told(judged: Judged) -> None:
                fresh = self._house.speech(visit)
                if judged.fault is None:
                    verdict.set_content(notice(fresh("check_good", type=judged.topic, key=judged.key), "good"))
                else:
                    fault = judged.fault
                    said = reasons.told(fresh, fault.reason, fault.pointer, fault.message)
                    verdict.set_content(notice(join(fresh("check_bad"), " ", said), "bad"))

            def value() -> str | None:
                """None: as it came, to the byte."""
                return None if edited.value == came and came else edited.value or ""

            async def check(user: User) -> None:
                told(await self._house.deeds.judge(user, record.id, value()))

            async def replay(user: User) -> None:
                judged = await self._house.deeds.replay(user, record.id, value(), why.value or "")
                told(judged)
                if judged.fault is None:
                    verdict.set_content(notice(self._house.speech(visit)("replayed", topic=judged.topic), "good"))
                    actions.set_visibility(False)

            async def park(user: User) -> None:
                await self._house.deeds.park(user, record.id, why.value or "")
                actions.set_visibility(False)

            with ui.element("div").classes("row") as actions:
                why = field(say("reason"), "why")
                button(say("check"), lambda: self._house.do(visit, check, is_quiet=True))
                button(say("replay"), lambda: self._house.do(visit, replay, is_quiet=True), main=True)
                button(say("park"), lambda: self._house.do(visit, park))
