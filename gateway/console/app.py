"""The console as one ASGI application: `dujiang/` hands in what it stands on."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from psycopg import Cursor
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from engine.clock import Clock
from engine.kafka import Message
from engine.records import Place
from gateway.app import NO_TELEMETRY
from gateway.console import users
from gateway.console.deeds import Deeds
from gateway.console.gate import Gate
from gateway.console.markup import BASE
from gateway.console.metrics import ConsoleMetrics
from gateway.console.orders import Orders
from gateway.console.pages.way import Part
from gateway.console.reads import Kept, Reader
from gateway.console.rights import User
from gateway.console.sampler import Sampler
from gateway.console.screens import Screens
from gateway.console.screens.house import House
from gateway.console.sign_in import Door
from gateway.console.story import Tell
from gateway.console.users import Limits
from gateway.store import Store
from schemas.registry import Registry

FILES: Final = Path(__file__).parent / "files"
DEED_S: Final = 12.0  # a deed waits for Kafka as long as a publisher at the gateway does


@dataclass(frozen=True)
class Base:
    """What the console stands on.

    dsn: of the role that may write the console's own tables and quarantine's settling. reader_dsn: of a role that may read
    the views. publish: returns once all in-sync replicas have the messages. ends: every partition's end offset.
    tell: an entity's story by the rules. parts: steps and sinks as declared. grafana_url: empty where there is none.
    hosts: names it answers to.
    """

    dsn: str
    reader_dsn: str
    publish: Callable[[Sequence[Message]], None]
    ends: Callable[[], Mapping[Place, int]]
    tell: Tell
    parts: tuple[Part, ...]
    registry: Registry
    clock: Clock
    limits: Limits
    zone: ZoneInfo
    grafana_url: str
    hosts: frozenset[str]
    is_secure: bool
    metrics: ConsoleMetrics


@asynccontextmanager
async def opened(base: Base) -> AsyncIterator[FastAPI]:
    """The app with its connections, which end with it. One a process: NiceGUI has one state for all pages."""
    views = Reader(base.reader_dsn or base.dsn, partial(base.metrics.query_seconds, "views"))
    own = Reader(base.dsn, partial(base.metrics.query_seconds, "own"), connections=2)
    desk = Store(base.dsn, "dujiang console deeds", answer_s=DEED_S)
    door, sessions = (Store(base.dsn, f"dujiang console {name}") for name in ("door", "sessions"))

    async def user_of(cookie: str, is_seen: bool) -> User | None:
        def ask(cursor: Cursor[Any]) -> User | None:
            return users.signed_in(cursor, cookie, base.clock.now(), base.limits, is_seen=is_seen)

        return await sessions.call(ask)

    house = House(
        views=views,
        own=own,
        kept=Kept(),
        sampler=Sampler(own, base.ends),
        deeds=Deeds(desk, base.publish, base.registry, base.clock),
        orders=Orders(desk, base.clock),
        user_of=user_of,
        tell=base.tell,
        parts=base.parts,
        clock=base.clock,
        zone=base.zone,
        grafana_url=base.grafana_url,
        metrics=base.metrics,
    )
    base.metrics.open_pages(house.open_pages.__len__)
    screens = Screens(house)
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, telemetry=NO_TELEMETRY)
    entrance = Door(
        door,
        base.clock,
        base.limits,
        base.zone,
        base.metrics,
        is_secure=base.is_secure,
        on_left=house.open_pages.end,
    )
    app.router.routes += [
        *entrance.routes(),
        Route("/health/live", _alive),
        Route("/health/ready", _alive),  # without the database it says so on its pages, which is better than no page
        Route("/", _home),
        Mount(f"{BASE}/files", StaticFiles(directory=FILES)),
    ]
    screens.mount(app)
    app.add_middleware(Gate, hosts=base.hosts, user_of=user_of)
    try:
        async with screens.looking():
            yield app
    finally:
        for store in (desk, door, sessions):
            store.close()
        views.close()
        own.close()


async def _alive(_: Request) -> PlainTextResponse:
    return PlainTextResponse("alive\n")


async def _home(_: Request) -> PlainTextResponse:
    return PlainTextResponse("moved\n", 307, headers={"location": f"{BASE}/"})
