"""Server-sent events: as they come, under cursors, with a reason at the end."""

import asyncio
import json
import socket
from functools import partial
from typing import Any

import pytest

from gateway.catalogue import KINDS
from gateway.problems import Problem, ProblemWriter
from gateway.subscriptions import kinds, records, routes
from gateway.subscriptions.reading import Page, Passed
from gateway.subscriptions.records import readable
from gateway.subscriptions.stream import EventStream
from schemas.registry import Registry
from schemas.subscriptions import Place
from tests.conftest import Stage
from tests.gateway.subscriptions.cast import Partner
from tests.gateway.subscriptions.memory import ANNOUNCED, STRUCTURED_HEADERS, SUSPENDED, body_of

PLACE = Place("research.project.event", 0)


class TestWithAScriptedSession:
    """What is sent, and when, apart from where it comes from."""

    class Session:
        """Gives the pages and problems it is told, then ends."""

        def __init__(self, *script: Page | Problem) -> None:
            self._script = list(script)
            self.positions = {PLACE: 0}

        @property
        def is_ending(self) -> bool:
            return not self._script

        async def page(self, limit: int) -> Page:  # noqa: ARG002 - the port
            told = self._script.pop(0)
            if isinstance(told, Problem):
                raise told
            return told

        def sent(self, page: Page) -> None:
            self.positions = page.positions

        async def wait(self, seconds: float) -> None:  # noqa: ARG002 - the port
            await asyncio.sleep(0)

    @pytest.fixture
    def page(self, registry: Registry) -> Page:
        event = readable(registry, PLACE.topic, STRUCTURED_HEADERS, body_of("a"))
        assert event is not None
        return Page({PLACE: 5}, [Passed(event, PLACE, 2, 0), Passed(event, PLACE, 4, 0)])

    def run(self, session: Session, *, is_stuck: bool = False, **options: float) -> list[dict[str, Any]]:
        """The messages that were sent; `is_stuck`: a reader who takes nothing after the first piece."""
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            await asyncio.sleep(3600)

        async def send(message: Any) -> None:
            if is_stuck and len(sent) == 2 and message.get("more_body"):
                await asyncio.sleep(3600)
            sent.append(message)

        scope = {"type": "http", "headers": []}
        asyncio.run(EventStream(session, ProblemWriter(), **options)(scope, receive, send))  # type: ignore[arg-type]
        return sent

    def frames(self, *script: Page | Problem, **options: float) -> list[str]:
        bodies = [message["body"].decode() for message in self.run(self.Session(*script), **options)[1:]]
        return [frame for frame in "".join(bodies).split("\n\n") if frame]

    def test_a_heartbeat_moves_the_cursor_while_nothing_passes(self) -> None:
        frames = self.frames(Page({PLACE: 7}, withheld={"right": 0, "classification": 3}), heartbeat_s=0)
        assert frames[1].startswith("event: heartbeat\nid: ")
        assert json.loads(frames[1].partition("data: ")[2]) == {"withheld": {"right": 0, "classification": 3}}

    def test_a_stream_ends_with_the_problem_that_its_next_request_would_get(self, page: Page) -> None:
        problem = Problem(kinds.CURSOR_GONE, kinds.CURSOR_GONE.meaning, more={"earliest_cursor": "x"})
        frames = self.frames(page, problem)
        told = json.loads(frames[-1].partition("data: ")[2])
        assert len(frames) == 4
        assert (told["reason"], told["status"], told["earliest_cursor"]) == ("cursor_gone", 410, "x")

    @pytest.mark.parametrize("slug", ["log_away", "store_away"])
    def test_what_passes_by_itself_does_not_end_a_stream(self, page: Page, slug: str) -> None:
        frames = self.frames(Problem(KINDS[slug], KINDS[slug].meaning), page)
        assert [frame.partition(":")[0] for frame in frames] == ["retry", "id", "id", "event"]
        assert "gateway_ending" in frames[-1]

    def test_one_who_does_not_read_is_put_out(self, page: Page) -> None:
        sent = self.run(self.Session(page, page, page), is_stuck=True, send_s=0.05)
        assert [message.get("more_body") for message in sent] == [None, True]


@pytest.mark.services
class TestAtAGateway:
    """On a real Kafka."""

    @pytest.fixture
    def agency(self, subscribers: Any, directory: Any) -> Partner:
        return Partner(subscribers, directory.register("agency-1", "subscribe:*", "clearance:internal"))

    def test_it_is_an_event_stream_of_cloudevents(self, agency: Partner, stage: Stage) -> None:
        made = agency.subscribe(SUSPENDED, protocol="SSE").json["id"]
        with agency.stream(made) as stream:
            assert stream.response.getheader("content-type") == "text/event-stream; charset=utf-8"
            stage.send([body_of("a")])
            stage.until(lambda: stream.came.ids() == ["a"])
            (frame,) = stream.came.events()
            assert json.loads(frame["data"]) == json.loads(body_of("a"))

    def test_whoever_comes_again_with_the_last_id_gets_the_rest_and_nothing_twice(self, agency: Partner, stage: Stage) -> None:
        made = agency.subscribe(SUSPENDED).json["id"]
        with agency.stream(made) as stream:
            stage.send([body_of(f"{number:03}", subject=f"P-{number % 5}") for number in range(30)])
            stage.until(lambda: len(stream.came.events()) >= 10)
        first = stream.came.events()[:10]
        with agency.stream(made, first[-1]["id"]) as again:
            stage.send([body_of(f"{number:03}", subject=f"P-{number % 5}") for number in range(30, 60)])
            stage.until(lambda: len(again.came.events()) >= 50)
            ids = [json.loads(frame["data"])["id"] for frame in first] + again.came.ids()
        assert sorted(ids) == [f"{number:03}" for number in range(60)]

    @pytest.mark.parametrize("query", ["UPDATE subscription SET state = 'paused'", "DELETE FROM subscription"])
    def test_a_change_elsewhere_ends_it_within_a_second(self, agency: Partner, stage: Stage, query: str) -> None:
        made = agency.subscribe(SUSPENDED).json["id"]
        with agency.stream(made) as stream:
            stage.until(lambda: bool(stream.came.frames))
            stage.execute(query)
            assert stream.ended(1.5)
            assert len(stream.came.named("end")) == 1

    def test_a_type_that_is_added_comes_on_the_running_stream(self, agency: Partner, stage: Stage) -> None:
        call = {"type": ANNOUNCED, "subject": "C-1", "data": {"title": "x", "opens": "2026-03-01", "closes": "2026-04-01"}}
        made = agency.subscribe(SUSPENDED).json
        with agency.stream(made["id"]) as stream:
            stage.until(lambda: bool(stream.came.frames))
            agency.send("PUT", f"/subscriptions/{made['id']}", made | {"types": [SUSPENDED, ANNOUNCED]})
            stage.send([body_of("call", **call), body_of("project")])
            stage.until(lambda: sorted(stream.came.ids()) == ["call", "project"])

    def test_an_expiry_ends_it(self, agency: Partner) -> None:
        made = agency.subscribe(SUSPENDED, expires_at="2026-03-01T09:00:00Z").json["id"]
        with agency.stream(made) as stream:
            agency.gateway.clock.advance(3_600)
            assert stream.ended(3)
            (end,) = stream.came.named("end")
            assert json.loads(end["data"])["state"] == "expired"

    def test_one_who_does_not_read_gives_his_seat_back(
        self, agency: Partner, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes, "EventStream", partial(EventStream, send_s=0.5))
        made = agency.subscribe(SUSPENDED).json["id"]
        large = "x" * 900_000
        stage.send([body_of(f"{number}", data={"reason": large}) for number in range(40)])
        host, port = agency.gateway.host, agency.gateway.port
        stuck = [socket.create_connection((host, port)) for _ in range(2)]
        try:
            for one in stuck:
                asked = f"GET /subscriptions/{made}/stream HTTP/1.1\r\nhost: {host}\r\n{agency.raw_headers}\r\n"
                one.sendall(asked.encode())
            stage.until(lambda: agency.pull(made, limit=1).status == 429)
            stage.until(lambda: agency.pull(made, limit=1).status == 200)
        finally:
            for one in stuck:
                one.close()

    def test_many_readers_share_what_is_decoded(self, agency: Partner, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        decoded: list[str] = []

        def counting(registry: Registry, topic: str, *record: Any) -> Any:
            decoded.append(topic)
            return readable(registry, topic, *record)

        monkeypatch.setattr(records, "readable", counting)
        made = [agency.subscribe(SUSPENDED).json["id"] for _ in range(5)]
        streams = [agency.stream(one) for one in made for _ in range(2)]
        try:
            stage.until(lambda: all(stream.came.frames for stream in streams))
            stage.send([body_of(f"{number}") for number in range(20)])
            stage.until(lambda: all(len(stream.came.events()) == 20 for stream in streams))
            assert len(decoded) == 20
        finally:
            for stream in streams:
                stream.__exit__()
