"""The pages as NiceGUI serves them: what is asked for, drawn, kept fresh, and done. The only module that knows NiceGUI."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from fastapi import FastAPI
from nicegui import ui
from starlette.requests import Request

from engine.clock import Clock
from engine.errors import Fault
from gateway.console import queries
from gateway.console.deeds import TEXT_CHARS_MAX, DeedRefused, Deeds, Judged
from gateway.console.gate import USER, cookie_of
from gateway.console.markup import BASE, Markup, join, link, tag
from gateway.console.pages import alerts, frame, now, partners, projects, quarantine, search, way
from gateway.console.pages.story import story_section
from gateway.console.pieces import notice
from gateway.console.queries import AlertFilter, AlertRow, Beat, HeldFilter, HeldSheet, ProjectFilter
from gateway.console.reads import Answer, Kept, Reader, remedy_of
from gateway.console.rights import Right, User
from gateway.console.sampler import Sampler
from gateway.console.sign_in import language_for, scheme_for
from gateway.console.story import Story, Tell
from gateway.console.words import Speech
from gateway.languages import Language
from schemas.topics import ALERT_EVENT, PROJECT_EVENT, TOPICS

LIVE_S: Final = 2.0
CALM_S: Final = 5.0
SESSION_LOOK_S: Final = 30.0
NEWS_BUSY_EVENTS: Final = 50_000

Build = Callable[[Speech], Awaitable[Markup]]

log = structlog.get_logger("console")


@dataclass(frozen=True)
class Visit:
    """One reader at one page."""

    user: User
    cookie: str
    language: Language
    scheme: str
    here: str
    query: dict[str, str]
    ended: asyncio.Event


class Screens:
    """All pages over what they stand on."""

    def __init__(
        self,
        *,
        views: Reader,
        own: Reader,
        kept: Kept,
        sampler: Sampler,
        deeds: Deeds,
        user_of: Callable[[str, bool], Awaitable[User | None]],
        tell: Tell,
        parts: tuple[way.Part, ...],
        clock: Clock,
        zone: ZoneInfo,
    ) -> None:
        self._views, self._own, self._kept, self._sampler, self._deeds = views, own, kept, sampler, deeds
        self._user_of, self._tell, self._parts, self._clock, self._zone = user_of, tell, parts, clock, zone

    def mount(self, app: FastAPI) -> None:
        """Put all pages under BASE. Once a process."""
        ui.page("/")(self.now)
        ui.page("/projects")(self.projects)
        ui.page("/projects/{key:path}")(self.project)
        ui.page("/alerts")(self.alerts)
        ui.page("/alerts/{key:path}")(self.alert)
        ui.page("/quarantine")(self.quarantine)
        ui.page("/quarantine/{key}")(self.record)
        ui.page("/way")(self.way)
        ui.page("/way/topic/{key}")(self.topic)
        ui.page("/way/step/{key}")(self.step)
        ui.page("/search")(self.search)
        ui.page("/partners")(self.partners)
        ui.page("/partners/{key}")(self.partner)
        ui.run_with(
            app,
            mount_path=BASE,
            title="都江 Dujiang",
            favicon="🌊",
            tailwind=False,
            show_welcome_message=False,
            reconnect_timeout=20,
        )

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """The sampler works meanwhile, and the slow answers are asked for before the first reader comes."""
        tasks = [asyncio.create_task(self._sampler.run()), asyncio.create_task(self._warm())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _warm(self) -> None:
        with suppress(Fault):  # the first reader asks again, and is told
            await asyncio.gather(self._board(), self._projects(ProjectFilter()))

    # --- pages --------------------------------------------------------------------------------------------------------------

    async def now(self, request: Request) -> None:
        visit = self._visit(request)
        with self._page(visit, "now", "now.title") as say:
            if not self._may(visit, say):
                return
            await self._live(visit, self._needs, LIVE_S)
            await self._chart(visit, say)
            await self._live(visit, self._now_lists, LIVE_S)

    async def projects(self, request: Request) -> None:
        visit = self._visit(request)
        chosen = ProjectFilter(*(visit.query.get(name, "")[:200] for name in ProjectFilter._fields))
        with self._page(visit, "projects", "projects.title") as say:
            if not self._may(visit, say):
                return
            _html(projects.filter_form(say, chosen))

            async def build(say: Speech) -> Markup:
                board, page = await asyncio.gather(self._board(), self._projects(chosen))
                age_s = max(self._kept.age_s(board), self._kept.age_s(page))
                return join(projects.board_section(say, board.value, chosen, age_s), projects.list_section(say, page.value))

            await self._live(visit, build, CALM_S)

    async def project(self, request: Request, key: str) -> None:
        visit = self._visit(request)
        with self._page(visit, "projects", "project", beside=key) as say:
            if not self._may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                found = await self._views.read(lambda cursor: queries.project(cursor, key))
                if found is None:
                    return projects.missing(say, key)
                sheet, plan = found
                story = await self._story("projects", PROJECT_EVENT.name, key)
                return join(
                    frame.title(sheet.title or key), projects.sheet(say, sheet, plan), projects.why_section(say, sheet, story)
                )

            await self._live(visit, build, LIVE_S)

    async def alerts(self, request: Request) -> None:
        visit = self._visit(request)
        chosen = AlertFilter(*(visit.query.get(name, "")[:200] for name in AlertFilter._fields))
        chosen = chosen if chosen.show in alerts.SHOWS else chosen._replace(show="waiting")
        with self._page(visit, "alerts", "alerts.title") as say:
            if not self._may(visit, say):
                return
            _html(alerts.filter_form(say, chosen))

            async def build(say: Speech) -> Markup:
                keys = None
                if chosen.show == "mine":
                    keys = await self._own.read(lambda cursor: queries.kept_assigned_to(cursor, visit.user.name))
                page = await self._views.read(lambda cursor: queries.alerts(cursor, chosen, keys))
                shown = [row.alert_key for row in page.rows]
                assigned = await self._own.read(lambda cursor: queries.kept_assignments(cursor, shown))
                if chosen.show == "mine":
                    mine = [row for row in page.rows if alerts.assignee(row, assigned) == visit.user.name]
                    page = page._replace(rows=mine)
                return alerts.list_section(say, page, assigned)

            await self._live(visit, build, LIVE_S)

    async def alert(self, request: Request, key: str) -> None:
        visit = self._visit(request)
        with self._page(visit, "alerts", "alert", beside=key) as say:
            if not self._may(visit, say):
                return
            row = await self._guarded(say, self._views.read(lambda cursor: queries.alert(cursor, key)))
            if row is None:
                _html(alerts.missing(say, key))
                return

            async def build(say: Speech) -> Markup:
                row = await self._views.read(lambda cursor: queries.alert(cursor, key))
                if row is None:
                    return alerts.missing(say, key)
                assigned = await self._own.read(lambda cursor: queries.kept_assignments(cursor, [key]))
                return join(frame.title(row.title or key), alerts.sheet(say, row, alerts.assignee(row, assigned)))

            async def told(say: Speech) -> Markup:
                row = await self._views.read(lambda cursor: queries.alert(cursor, key))
                deeds = await self._own.read(lambda cursor: queries.kept_deeds(cursor, "alert", key))
                story = await self._story("alerts", ALERT_EVENT.name, key)
                condition = row.condition if row else None
                return join(alerts.deeds_section(say, deeds), story_section(say, story, condition, "condition"))

            await self._live(visit, build, LIVE_S)
            if visit.user.may(Right.HANDLE_ALERTS):
                names = await self._guarded(say, self._own.read(queries.kept_user_names)) or []
                await self._handles(visit, say, key, row, names)
            await self._live(visit, told, LIVE_S)

    async def quarantine(self, request: Request) -> None:
        visit = self._visit(request)
        state = "all" if visit.query.get("state") == "all" else "waiting"
        source = visit.query.get("source")
        chosen = HeldFilter(state, visit.query.get("reason", "")[:200], "" if source == "-" else source)
        with self._page(visit, "quarantine", "quarantine.title") as say:
            if not self._may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                causes = await self._views.read(queries.causes)
                page = await self._views.read(lambda cursor: queries.held(cursor, chosen))
                return join(quarantine.causes_section(say, causes), quarantine.records_section(say, page, chosen))

            await self._live(visit, build, CALM_S)

    async def record(self, request: Request, key: str) -> None:
        visit = self._visit(request)
        with self._page(visit, "quarantine", "record", beside=f"#{key}") as say:
            if not self._may(visit, say):
                return
            found = await self._guarded(say, self._record(key))
            if found is None:
                _html(quarantine.missing(say, key))
                return

            async def build(say: Speech) -> Markup:
                record = await self._record(key)
                return quarantine.sheet(say, record) if record else quarantine.missing(say, key)

            async def told(say: Speech) -> Markup:
                return alerts.deeds_section(
                    say, await self._own.read(lambda cursor: queries.kept_deeds(cursor, "quarantine", key))
                )

            await self._live(visit, build, LIVE_S)
            if visit.user.may(Right.SEE_RECORDS):
                _html(quarantine.bytes_section(say, found))
            else:
                _html(notice(say("bytes_hidden")))
            if visit.user.may(Right.REPAIR_DATA) and found.state != "replayed":
                await self._repairs(visit, say, found)
            await self._live(visit, told, LIVE_S)

    async def way(self, request: Request) -> None:
        visit = self._visit(request)
        with self._page(visit, "way", "way.title") as say:
            if not self._may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                beats = await self._pulse()
                paused = await self._views.read(queries.paused)
                sample, flows = self._sampler.latest, self._sampler.flows()
                is_known = sample is not None and sample.ends is not None
                return join(
                    way.picture(say, beats, TOPICS, self._parts, flows),
                    way.paused_section(say, paused) or "",
                    way.account_section(say, flows, is_lag_known=is_known),
                )

            await self._live(visit, build, LIVE_S)

    async def topic(self, request: Request, key: str) -> None:
        visit = self._visit(request)
        with self._page(visit, "way", "topic", beside=key) as say:
            if not self._may(visit, say):
                return
            topic = TOPICS.get(key)
            if topic is None:
                _html(notice(say("missing_why", what=say("topic"), key=key), "warn"))
                return

            async def build(say: Speech) -> Markup:
                sample, flows = self._sampler.latest, self._sampler.flows()
                ends = sample.ends if sample else None
                mine = None if ends is None else {partition: end for (name, partition), end in ends.items() if name == key}
                return join(
                    frame.title(key),
                    way.topic_section(say, topic, self._parts, mine),
                    way.account_section(say, flows, is_lag_known=ends is not None, only=key),
                )

            await self._live(visit, build, LIVE_S)

    async def step(self, request: Request, key: str) -> None:
        visit = self._visit(request)
        with self._page(visit, "way", "step", beside=key) as say:
            if not self._may(visit, say):
                return
            part = next((part for part in self._parts if part.name == key), None)
            if part is None:
                _html(notice(say("missing_why", what=say("step"), key=key), "warn"))
                return

            async def build(say: Speech) -> Markup:
                sample, flows = self._sampler.latest, self._sampler.flows()
                is_known = sample is not None and sample.ends is not None
                account = way.account_section(say, flows, is_lag_known=is_known, only=key)
                return join(frame.title(key), way.step_section(say, part), account)

            await self._live(visit, build, LIVE_S)

    async def search(self, request: Request) -> None:
        visit = self._visit(request)
        words = visit.query.get("q", "").strip()[:200]
        with self._page(visit, "search", "search.title") as say:
            if not self._may(visit, say):
                return
            _html(search.form(say, words))
            if len(words) < 2:
                _html(notice(say("search_hint")))
                return
            found = await self._guarded(say, self._views.read(lambda cursor: queries.find_key(cursor, words)))
            others, is_complete = await self._others(words)
            registered = await self._guarded(say, self._own.read(lambda cursor: queries.kept_found_partners(cursor, words)))
            keys = {(item.kind, item.key) for item in found or ()}
            more = [item for item in (*(registered or ()), *others) if (item.kind, item.key) not in keys]
            _html(search.found_section(say, [*(found or ()), *more], is_complete=is_complete))

    async def partners(self, request: Request) -> None:
        visit = self._visit(request)
        own = None if visit.user.may(Right.SEE_ALL) else visit.user.partner_id
        with self._page(visit, "partners", "partners.title"):

            async def build(say: Speech) -> Markup:
                rows = await self._own.read(lambda cursor: queries.kept_partners(cursor, own))
                return partners.list_section(say, rows, await self._pulse())

            await self._live(visit, build, CALM_S)

    async def partner(self, request: Request, key: str) -> None:
        visit = self._visit(request)
        with self._page(visit, "partners", "partner", beside=key) as say:
            if not visit.user.may(Right.SEE_ALL) and visit.user.partner_id != key:
                self._refuse(visit, say)
                return

            async def build(say: Speech) -> Markup:
                rows = await self._own.read(lambda cursor: queries.kept_partners(cursor, key))
                if not rows:
                    return notice(say("missing_why", what=say("partner"), key=key), "warn")
                beats = partners.of_sources(await self._pulse(), rows[0].sources)
                causes = [
                    cause
                    for source in rows[0].sources
                    for cause in await self._views.read(lambda cursor, source=source: queries.causes(cursor, source))  # type: ignore[misc]
                ]
                return join(frame.title(rows[0].name), partners.sheet(say, rows[0], beats, causes))

            await self._live(visit, build, CALM_S)

    # --- what pages ask -----------------------------------------------------------------------------------------------------

    async def _pulse(self) -> list[Beat]:
        return (await self._kept.get("pulse", lambda: self._views.read(queries.pulse))).value

    async def _board(self) -> Answer[list[queries.Column]]:
        return await self._kept.get("board", lambda: self._views.read(queries.board))

    async def _projects(self, chosen: ProjectFilter) -> Answer[queries.Page[queries.ProjectRow]]:
        ask = lambda: self._views.read(lambda cursor: queries.projects(cursor, chosen))  # noqa: E731
        return await self._kept.get(("projects", chosen), ask)

    async def _story(self, step: str, topic: str, key: str) -> Story:
        events = await self._own.read(lambda cursor: queries.kept_events(cursor, topic, key))
        # Thousands of events take some tens of milliseconds, in which other pages would stand still.
        return await asyncio.to_thread(self._tell, step, key, events, self._clock.now())

    async def _record(self, key: str) -> HeldSheet | None:
        row_id = int(key) if key.isascii() and key.isdigit() and len(key) < 19 else 0
        return await self._own.read(lambda cursor: queries.kept_held(cursor, row_id))

    async def _others(self, words: str) -> tuple[list[queries.Found], bool]:
        """By letters: on many rows it may take longer than a reader waits, and then says so."""
        try:
            ask = lambda: self._views.read(lambda cursor: queries.find_words(cursor, words))  # noqa: E731
            return (await self._kept.get(("find", words), ask)).value, True
        except Fault as fault:
            log.warning("console_search_gave_up", fault=str(fault))
            return [], False

    async def _needs(self, say: Speech) -> Markup:
        needs, board = await asyncio.gather(self._kept.get("needs", lambda: self._views.read(queries.needs)), self._board())
        sample = self._sampler.latest
        behind = sum(flow.account.lag for flow in self._sampler.flows() if flow.is_behind)
        found = now.wants(needs.value, board.value, behind, sample.unaccounted if sample else 0)
        return now.needs_section(say, found)

    async def _now_lists(self, say: Speech) -> Markup:
        beats = await self._pulse()
        is_busy = sum(beat.events for beat in beats) > NEWS_BUSY_EVENTS
        seconds = 20 if is_busy else queries.PULSE_MINUTES * 60
        news = await self._kept.get(("news", is_busy), lambda: self._views.read(lambda cursor: queries.news(cursor, seconds)))
        calls = await self._kept.get("calls", lambda: self._views.read(queries.closing_calls))
        return now.lists(say, beats, news.value, calls.value)

    async def _chart(self, visit: Visit, say: Speech) -> None:
        beats = await self._guarded(say, self._pulse()) or []
        with ui.element("section"):
            _html(join(tag("h2", say("by_duty")), tag("p", say("by_duty_note", minutes=queries.PULSE_MINUTES), class_="note")))
            drawn = ui.echart(now.chart(say, beats, visit.scheme)).classes("chart")
        drawn.props["role"], drawn.props["aria-label"] = "img", now.chart_in_words(say, beats)

        async def again() -> None:
            if visit.ended.is_set():
                return
            say = self._speech(visit)
            with suppress(Fault):  # the needs above say that the database is away
                fresh = now.chart(say, await self._pulse(), visit.scheme)
                drawn.options.clear()
                drawn.options.update(fresh)
                drawn.update()

        ui.timer(LIVE_S, again)

    # --- what people do -----------------------------------------------------------------------------------------------------

    async def _handles(self, visit: Visit, say: Speech, key: str, row: AlertRow, names: list[str]) -> None:
        """Acknowledge, close, assign, comment. The rules decide; the page shows what they decided."""
        with ui.element("section").classes("handles"):
            _html(tag("h2", say("handle")))
            with ui.element("div").classes("row"):
                acknowledge = _button(say("acknowledge"), lambda: self._do(visit, self._deeds.acknowledge, key), main=True)
                text = _field(say("reason"), "reason")
                close = _button(say("close"), lambda: self._do(visit, self._close, key, text))
            with ui.element("div").classes("row"):
                whom = ui.select(names, value=visit.user.name if visit.user.name in names else None, label=say("assign_to"))
                whom.classes("field").props("dense outlined options-dense")
                assign = _button(say("assign"), lambda: self._do(visit, self._assign, key, whom.value or ""))
                said = _field(say("comment"), "comment")
                _button(say("say"), lambda: self._do(visit, self._say, "alert", key, said))

            async def fit() -> None:
                """Only what the rules would take can be pressed."""
                with suppress(Fault):
                    current = await self._views.read(lambda cursor: queries.alert(cursor, key)) or row
                    acknowledge.set_enabled(current.handling == "open")
                    close.set_enabled(current.handling != "closed")
                    assign.set_enabled(current.handling != "closed")
                    fresh = self._speech(visit)
                    close.set_text(fresh("close_forced") if current.condition == "firing" else fresh("close"))

            await fit()
            ui.timer(LIVE_S, fit)

    async def _close(self, user: User, key: str, field: ui.input) -> None:
        row = await self._views.read(lambda cursor: queries.alert(cursor, key))
        is_firing = row is not None and row.condition == "firing"
        await self._deeds.close(user, key, field.value or "", is_forced=is_firing)
        field.set_value("")

    async def _assign(self, user: User, key: str, to: str) -> None:
        row = await self._views.read(lambda cursor: queries.alert(cursor, key))
        if row is None or not to:
            raise DeedRefused("missing_why", what="user", key=to)
        await self._deeds.assign(user, key, to, row.episodes)

    async def _say(self, user: User, kind: str, key: str, field: ui.input) -> None:
        await self._deeds.comment(user, kind, key, field.value or "")
        field.set_value("")

    async def _repairs(self, visit: Visit, say: Speech, record: HeldSheet) -> None:
        """Edit, judge, publish again; or set aside."""
        text = quarantine.text_of(record)
        came = quarantine.pretty_json(text) if text is not None else ""
        with ui.element("section").classes("handles"):
            _html(join(tag("h2", say("repair")), tag("p", say("repair_note"), class_="note")))
            edited = ui.textarea(label=say("event"), value=came).classes("editor").props("outlined autogrow spellcheck=false")
            verdict = ui.html("", sanitize=False)

            def told(judged: Judged) -> None:
                fresh = self._speech(visit)
                if judged.fault is None:
                    verdict.set_content(notice(fresh("check_good", type=judged.topic, key=judged.key), "good"))
                else:
                    fault = judged.fault
                    values = {"reason": fault.reason, "pointer": fault.pointer or "/", "message": fault.message}
                    verdict.set_content(notice(fresh("check_bad", **values), "bad"))

            def value() -> str | None:
                """None: as it came, to the byte."""
                return None if edited.value == came and came else edited.value or ""

            async def check(user: User) -> None:
                told(await self._deeds.judge(user, record.id, value()))

            async def replay(user: User) -> None:
                judged = await self._deeds.replay(user, record.id, value(), why.value or "")
                told(judged)
                if judged.fault is None:
                    verdict.set_content(notice(self._speech(visit)("replayed", topic=judged.topic), "good"))
                    actions.set_visibility(False)

            async def park(user: User) -> None:
                await self._deeds.park(user, record.id, why.value or "")
                actions.set_visibility(False)

            with ui.element("div").classes("row") as actions:
                why = _field(say("reason"), "why")
                _button(say("check"), lambda: self._do(visit, check, is_quiet=True))
                _button(say("replay"), lambda: self._do(visit, replay, is_quiet=True), main=True)
                _button(say("park"), lambda: self._do(visit, park))

    async def _do(self, visit: Visit, deed: Callable[..., Awaitable[None]], *values: Any, is_quiet: bool = False) -> None:
        """A deed by whoever is signed in at this moment, with the role of this moment; what came of it is said."""
        say = self._speech(visit)
        try:
            user = await self._user_of(visit.cookie, True)
            if user is None:
                ui.navigate.to(f"{BASE}/sign-in")
                return
            await deed(user, *values)
        except DeedRefused as refused:
            ui.notify(_refusal(say, refused), type="warning")
        except Fault as fault:
            log.error("console_deed_failed", fault=str(fault), remedy=remedy_of(fault))
            ui.notify(f"{say('away')}. {fault} {remedy_of(fault)}".strip(), type="negative", multi_line=True)
        else:
            if not is_quiet:
                ui.notify(say("done"), type="positive")

    # --- around every page --------------------------------------------------------------------------------------------------

    def _visit(self, request: Request) -> Visit:
        query = request.url.query
        return Visit(
            user=request.scope[USER],
            cookie=cookie_of(request.headers.get("cookie", "")),
            language=language_for(request),
            scheme=scheme_for(request),
            here=request.url.path + (f"?{query}" if query else ""),
            query=dict(request.query_params),
            ended=asyncio.Event(),
        )

    def _speech(self, visit: Visit) -> Speech:
        return Speech(visit.language, self._zone, self._clock.now())

    @contextmanager
    def _page(self, visit: Visit, page: str, title: str, *, beside: str = "") -> Iterator[Speech]:
        """The frame; what is made inside stands in the page's main part."""
        say = self._speech(visit)
        language = "zh-CN" if visit.language == "zh" else "en"
        ui.add_head_html(frame.head(visit.scheme) + f"<script>document.documentElement.lang = '{language}';</script>")
        ui.page_title(f"{beside or say(title)} · 都江 Dujiang")
        ui.dark_mode(visit.scheme == "dark")
        _html(frame.header(say, visit.user, visit.scheme, page, visit.here), "header")

        async def look() -> None:
            with suppress(Fault):  # while the database is away nobody is signed out
                if await self._user_of(visit.cookie, False) is None:
                    visit.ended.set()  # a page that does not follow is told nothing more either
                    ui.navigate.to(f"{BASE}/sign-in")

        ui.timer(SESSION_LOOK_S, look, immediate=False)
        with ui.element("div").props("id=main tabindex=-1").classes("main"):
            if not beside:
                _html(frame.title(say(title)))
            yield say

    def _may(self, visit: Visit, say: Speech) -> bool:
        if visit.user.may(Right.SEE_ALL):
            return True
        self._refuse(visit, say)
        return False

    def _refuse(self, visit: Visit, say: Speech) -> None:
        _html(notice(f"{say('refused')}. {say('refused_why', role=say(f'role.{visit.user.role}'))}", "warn"))
        _html(tag("p", link(say("partners"), "partners")))

    async def _guarded(self, say: Speech, asked: Awaitable[Any]) -> Any:
        """What was asked, or None and a notice that the database is away."""
        try:
            return await asked
        except Fault as fault:
            log.error("console_read_failed", fault=str(fault), remedy=remedy_of(fault))
            _html(notice(f"{say('away')}. {say('away_why')} {remedy_of(fault)}", "bad"))
            return None

    async def _live(self, visit: Visit, build: Build, every_s: float) -> None:
        """A part that is built anew every few seconds; only what changed is touched, so that focus and reading place stay."""

        async def built() -> Markup:
            say = self._speech(visit)
            try:
                return await build(say)
            except Fault as fault:
                log.error("console_read_failed", fault=str(fault), remedy=remedy_of(fault))
                return notice(f"{say('away')}. {say('away_why')} {remedy_of(fault)}", "bad")

        shown = [await built()]
        part = _html(shown[0])

        async def again() -> None:
            if visit.ended.is_set():
                return
            fresh = await built()
            if fresh != shown[0]:
                shown[0] = fresh
                ui.run_javascript(f"dujiang.morph({part.id}, {json.dumps(fresh)})")

        ui.timer(every_s, again, immediate=False)


def _refusal(say: Speech, refused: DeedRefused) -> str:
    """In the reader's words, values too."""
    families = {"role": "role", "state": "held", "what": "thing"}
    values = {
        name: say.value(families[name], str(value)) if name in families else value for name, value in refused.values.items()
    }
    return say(refused.word, **values)


def _html(markup: Markup, element: str = "div") -> ui.html:
    """Ours is escaped where it is made (markup.py)."""
    return ui.html(markup, sanitize=False, tag=element)


def _button(text: str, on_click: Callable[[], Awaitable[None]], *, main: bool = False) -> ui.button:
    return ui.button(text, on_click=on_click, color=None).props("no-caps unelevated").classes("main-act" if main else "act")


def _field(label: str, name: str) -> ui.input:
    field = ui.input(label=label).classes("field")
    return field.props(f'dense outlined maxlength={TEXT_CHARS_MAX} name="{name}"')
