"""What all screens stand on: the frame around a page, parts kept fresh, deeds done. Knows NiceGUI, not a subject."""

import asyncio
import dataclasses
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import structlog
from nicegui import Client, ui
from psycopg import Cursor
from starlette.requests import Request

from engine.clock import Clock
from engine.errors import Fault
from gateway.console import queries
from gateway.console.deeds import TEXT_CHARS_MAX, DeedRefused, Deeds
from gateway.console.gate import USER, cookie_of
from gateway.console.markup import Markup, link, tag
from gateway.console.metrics import ConsoleMetrics
from gateway.console.orders import Orders
from gateway.console.pages import frame, way
from gateway.console.pieces import notice
from gateway.console.queries import Beat
from gateway.console.reads import Answer, Kept, Reader, remedy_of
from gateway.console.rights import Right, User
from gateway.console.sampler import Sampler
from gateway.console.sign_in import language_for, scheme_for
from gateway.console.story import Story, Tell
from gateway.console.words import Speech
from gateway.languages import Language

LIVE_S: Final = 2.0
CALM_S: Final = 5.0
SESSION_LOOK_S: Final = 30.0
DOOR: Final = "/sign-in"  # below where the pages are mounted: NiceGUI puts that before it
PAGE_S: Final = 30.0  # for a page whose parts wait for a database that hangs; by itself NiceGUI gives up after 3 s

T = TypeVar("T")
Build = Callable[[Speech], Awaitable[Markup]]

log = structlog.get_logger("console")


@dataclasses.dataclass(frozen=True, eq=False)
class Visit:
    """One reader at one page. `ended`: it is told nothing more."""

    user: User
    cookie: str
    language: Language
    scheme: str
    here: str
    query: dict[str, str]
    ended: asyncio.Event
    timers: list[tuple[float, Callable[[], Awaitable[None]]]] = dataclasses.field(default_factory=list)

    def every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        """From when the page is whole: a timer waits for the browser, and NiceGUI sends a page as soon as anything does."""
        self.timers.append((seconds, act))


class OpenPages:
    """The pages that browsers have open, by the session that they are open in."""

    def __init__(self) -> None:
        self._open: dict[str, dict[Visit, Client]] = defaultdict(dict)

    def add(self, visit: Visit, client: Client) -> None:
        """Until its browser is away for good."""
        self._open[visit.cookie][visit] = client
        client.on_delete(lambda: self._closed(visit))

    def end(self, cookie: str) -> None:
        """The session is over: its pages lead to the door, and one that does not follow learns nothing more."""
        for visit, client in self._open.get(cookie, {}).items():
            visit.ended.set()
            client.open(DOOR)

    def __len__(self) -> int:
        """Those whose browser listens now. Also for another thread: what it goes through are copies."""
        return sum(client.has_socket_connection for clients in list(self._open.values()) for client in list(clients.values()))

    def _closed(self, visit: Visit) -> None:
        clients = self._open[visit.cookie]
        clients.pop(visit, None)
        if not clients:
            del self._open[visit.cookie]


class House:
    """What every screen reads from and does by."""

    def __init__(
        self,
        *,
        views: Reader,
        own: Reader,
        kept: Kept,
        sampler: Sampler,
        deeds: Deeds,
        orders: Orders,
        user_of: Callable[[str, bool], Awaitable[User | None]],
        tell: Tell,
        parts: tuple[way.Part, ...],
        clock: Clock,
        zone: ZoneInfo,
        metrics: ConsoleMetrics,
        grafana_url: str = "",
    ) -> None:
        self.views, self.own, self.kept, self.sampler = views, own, kept, sampler
        self.deeds, self.orders = deeds, orders
        self.user_of, self.tell, self.parts, self.clock, self.zone = user_of, tell, parts, clock, zone
        self.metrics, self.grafana_url = metrics, grafana_url
        self.open_pages = OpenPages()

    # --- what pages ask ---

    async def pulse(self) -> list[Beat]:
        return (await self.kept_view("pulse", queries.pulse)).value

    async def kept_view(self, key: Hashable, query: Callable[[Cursor[Any]], T]) -> Answer[T]:
        """What the views say, kept for all who ask the same."""
        return await self.kept.get(key, lambda: self.views.read(query))

    async def kept_own(self, key: Hashable, query: Callable[[Cursor[Any]], T]) -> Answer[T]:
        """The same of what no view shows."""
        return await self.kept.get(key, lambda: self.own.read(query))

    async def story(self, step: str, topic: str, key: str) -> Story:
        events = await self.own.read(lambda cursor: queries.kept_events(cursor, topic, key))
        # Thousands of events take some tens of milliseconds, in which other pages would stand still.
        return await asyncio.to_thread(self.tell, step, key, events, self.clock.now())

    # --- what people do ---

    async def do(self, visit: Visit, deed: Callable[..., Awaitable[None]], *values: Any, is_quiet: bool = False) -> None:
        """A deed by whoever is signed in at this moment, with the role of this moment; what came of it is said."""
        say = self.speech(visit)
        try:
            user = await self.user_of(visit.cookie, True)
            if user is None:
                ui.navigate.to(DOOR)
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

    def visit(self, request: Request) -> Visit:
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

    def speech(self, visit: Visit) -> Speech:
        return Speech(visit.language, self.zone, self.clock.now())

    @contextmanager
    def page(self, visit: Visit, page: str, title: str, *, beside: str = "") -> Iterator[Speech]:
        """The frame; what is made inside stands in the page's main part."""
        begun_s = self.clock.monotonic_s()
        say = self.speech(visit)
        language = "zh-CN" if visit.language == "zh" else "en"
        ui.add_head_html(frame.head(visit.scheme) + f"<script>document.documentElement.lang = '{language}';</script>")
        ui.page_title(f"{beside or say(title)} · 都江 Dujiang")
        ui.dark_mode(visit.scheme == "dark")
        html(frame.header(say, visit.user, visit.scheme, page, visit.here), "header")

        self.open_pages.add(visit, ui.context.client)
        visit.every(SESSION_LOOK_S, lambda: self.look(visit))
        with ui.element("div").props("id=main tabindex=-1").classes("main"):
            if not beside:
                html(frame.title(say(title)))
            yield say
            for seconds, act in visit.timers:
                ui.timer(seconds, partial(_until_ended, visit, act), immediate=False)
        self.metrics.page_seconds(page, self.clock.monotonic_s() - begun_s)

    async def look(self, visit: Visit) -> None:
        """A page was made for one user in one role: it ends with the session, and begins anew when the role is another."""
        with suppress(Fault):  # while the database is away nobody is signed out
            user = await self.user_of(visit.cookie, False)
            if user == visit.user:
                return
            visit.ended.set()  # a page that does not follow is told nothing more either
            if user is None:
                ui.navigate.to(DOOR)
            else:
                ui.navigate.reload()

    def may(self, visit: Visit, say: Speech) -> bool:
        if visit.user.may(Right.SEE_ALL):
            return True
        self.refuse(visit, say)
        return False

    def may_own(self, visit: Visit, say: Speech) -> bool:
        """A partner's user has what is its partner's; one without a partner has nothing."""
        return bool(visit.user.partner_id) or self.may(visit, say)

    def refuse(self, visit: Visit, say: Speech) -> None:
        html(notice(f"{say('refused')}. {say('refused_why', role=say(f'role.{visit.user.role}'))}", "warn"))
        html(tag("p", link(say("partners"), "partners")))

    async def guarded(self, say: Speech, asked: Awaitable[Any]) -> Any:
        """What was asked, or None and a notice that the database is away."""
        try:
            return await asked
        except Fault as fault:
            log.error("console_read_failed", fault=str(fault), remedy=remedy_of(fault))
            html(notice(f"{say('away')}. {say('away_why')} {remedy_of(fault)}", "bad"))
            return None

    async def live(self, visit: Visit, build: Build, every_s: float) -> None:
        """A part that is built anew every few seconds; only what changed is touched, so that focus and reading place stay."""

        async def built() -> Markup:
            say = self.speech(visit)
            try:
                return await build(say)
            except Fault as fault:
                log.error("console_read_failed", fault=str(fault), remedy=remedy_of(fault))
                return notice(f"{say('away')}. {say('away_why')} {remedy_of(fault)}", "bad")

        shown = [await built()]
        part = html(shown[0])

        async def again() -> None:
            fresh = await built()
            if fresh != shown[0] and not visit.ended.is_set():
                shown[0] = fresh
                ui.run_javascript(f"dujiang.morph({part.id}, {json.dumps(fresh)})")

        visit.every(every_s, again)


async def _until_ended(visit: Visit, act: Callable[[], Awaitable[None]]) -> None:
    if not visit.ended.is_set():
        await act()


def _refusal(say: Speech, refused: DeedRefused) -> str:
    """In the reader's words, values too."""
    families = {"role": "role", "state": "held", "what": "thing", "sub_state": "sub_state"}
    values = {
        name: say.value(families[name], str(value)) if name in families else value for name, value in refused.values.items()
    }
    return say(refused.word, **values)


def html(markup: Markup, element: str = "div") -> ui.html:
    """Ours is escaped where it is made (markup.py)."""
    return ui.html(markup, sanitize=False, tag=element)


def page_at(path: str, build: Callable[..., Awaitable[None]]) -> None:
    """`build` makes the page at this path."""
    ui.page(path, response_timeout=PAGE_S)(build)


def button(text: str, on_click: Callable[[], Awaitable[None]], *, main: bool = False) -> ui.button:
    return ui.button(text, on_click=on_click, color=None).props("no-caps unelevated").classes("main-act" if main else "act")


def field(label: str, name: str) -> ui.input:
    field = ui.input(label=label).classes("field")
    return field.props(f'dense outlined maxlength={TEXT_CHARS_MAX} name="{name}"')
