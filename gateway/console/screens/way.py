"""The data's way."""

from starlette.requests import Request

from gateway.console import queries
from gateway.console.markup import Markup, join
from gateway.console.pages import frame, way
from gateway.console.pieces import notice
from gateway.console.screens.house import LIVE_S, House, html, page_at
from gateway.console.words import Speech
from schemas.topics import TOPICS


class WayScreens:
    """The data's way."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/way", self.way)
        page_at("/way/topic/{key}", self.topic)
        page_at("/way/step/{key}", self.step)

    async def way(self, request: Request) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "way", "way.title") as say:
            if not self._house.may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                beats = await self._house.pulse()
                paused = await self._house.views.read(queries.paused)
                sample, flows = self._house.sampler.latest, self._house.sampler.flows()
                is_known = sample is not None and sample.ends is not None
                return join(
                    way.picture(say, beats, TOPICS, self._house.parts, flows),
                    way.paused_section(say, paused) or "",
                    way.account_section(say, flows, is_lag_known=is_known),
                )

            await self._house.live(visit, build, LIVE_S)

    async def topic(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "way", "topic", beside=key) as say:
            if not self._house.may(visit, say):
                return
            topic = TOPICS.get(key)
            if topic is None:
                html(notice(say("missing_why", what=say("topic"), key=key), "warn"))
                return

            async def build(say: Speech) -> Markup:
                sample, flows = self._house.sampler.latest, self._house.sampler.flows()
                ends = sample.ends if sample else None
                mine = None if ends is None else {partition: end for (name, partition), end in ends.items() if name == key}
                return join(
                    frame.title(key),
                    way.topic_section(say, topic, self._house.parts, mine),
                    way.account_section(say, flows, is_lag_known=ends is not None, only=key),
                )

            await self._house.live(visit, build, LIVE_S)

    async def step(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "way", "step", beside=key) as say:
            if not self._house.may(visit, say):
                return
            part = next((part for part in self._house.parts if part.name == key), None)
            if part is None:
                html(notice(say("missing_why", what=say("step"), key=key), "warn"))
                return

            async def build(say: Speech) -> Markup:
                sample, flows = self._house.sampler.latest, self._house.sampler.flows()
                is_known = sample is not None and sample.ends is not None
                account = way.account_section(say, flows, is_lag_known=is_known, only=key)
                return join(frame.title(key), way.step_section(say, part, self._house.grafana_url), account)

            await self._house.live(visit, build, LIVE_S)
