"""The data's way."""

from collections.abc import Mapping

from starlette.requests import Request

from engine.records import Place
from gateway.console import queries
from gateway.console.markup import Markup, join
from gateway.console.pages import doors, frame, way, ways_out
from gateway.console.pieces import notice
from gateway.console.queries import OutPartner, OutRow, Page, WaysOut
from gateway.console.screens.house import CALM_S, LIVE_S, House, html, page_at
from gateway.console.words import Speech
from schemas.subscriptions import PROTOCOLS
from schemas.topics import TOPICS


class WayScreens:
    """The data's way."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/way", self.way)
        page_at("/way/topic/{key}", self.topic)
        page_at("/way/step/{key}", self.step)
        page_at("/way/process/{key}", self.process)
        page_at("/way/out/{key}", self.out)

    async def way(self, request: Request) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "way", "way.title") as say:
            if not self._house.may(visit, say):
                return

            async def build(say: Speech) -> Markup:
                sent, door_of = await self._sent(say)
                outs = await self._outs()
                paused = await self._house.views.read(queries.paused)
                sample, flows = self._house.sampler.latest, self._house.sampler.flows()
                is_known = sample is not None and sample.ends is not None
                return join(
                    way.picture(say, sent, door_of, TOPICS, self._house.parts, flows, outs, self._house.sampler.inflow()),
                    way.paused_section(say, paused) or "",
                    ways_out.table_section(say, outs, are_ends_known=is_known),
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
                    way.topic_section(say, topic, self._house.parts, await self._outs(), mine),
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

    async def process(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "way", "process", beside=key) as say:
            if not self._house.may(visit, say):
                return
            if key not in doors.PROCESSES:
                html(notice(say("missing_why", what=say("process"), key=key), "warn"))
                return

            async def build(say: Speech) -> Markup:
                sent, door_of = await self._sent(say)
                sheet = doors.sheet(say, key, sent, door_of, await self._outs(), self._house.grafana_url)
                return join(frame.title(say(f"door.{key}")), sheet)

            await self._house.live(visit, build, CALM_S)

    async def out(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        partner = visit.query.get("partner", "")[:200]
        with self._house.page(visit, "way", "out", beside=key) as say:
            if not self._house.may(visit, say):
                return
            if key not in PROTOCOLS:
                html(notice(say("missing_why", what=say("out"), key=key), "warn"))
                return

            async def build(say: Speech) -> Markup:
                outs = await self._outs()
                found = next((one for one in outs.ways if one.protocol == key), None)
                if found is None:
                    return join(frame.title(say.value("out", key)), notice(say("nothing")))
                return join(
                    frame.title(say.value("out", key)),
                    ways_out.sheet(say, found, outs),
                    None if partner else ways_out.partners_section(say, key, await self._partners(key)),
                    ways_out.worst_section(say, key, partner, await self._worst(key, partner)),
                )

            await self._house.live(visit, build, CALM_S)

    async def _sent(self, say: Speech) -> tuple[doors.Rates, Mapping[str, str]]:
        """Records a second by source and topic, and the door of each source."""
        sent = doors.rates_of(say, await self._house.pulse())
        register = (await self._house.kept_own("register", queries.kept_register)).value
        carried = (await self._house.kept_own("carried", queries.kept_carried)).value
        return sent, {source: doors.door_of(source, register, carried) for source, _ in sent}

    async def _outs(self) -> WaysOut:
        return (await self._house.kept_own("outs", lambda cursor: queries.kept_ways_out(cursor, self._ends()))).value

    async def _partners(self, protocol: str) -> list[OutPartner]:
        key = ("out partners", protocol)
        found = await self._house.kept_own(key, lambda cursor: queries.kept_out_partners(cursor, protocol, self._ends()))
        return found.value

    async def _worst(self, protocol: str, partner: str) -> Page[OutRow]:
        key = ("outs", protocol, partner)
        found = await self._house.kept_own(key, lambda cursor: queries.kept_outs(cursor, protocol, partner, self._ends()))
        return found.value

    def _ends(self) -> Mapping[Place, int] | None:
        """Seen before the places that they are compared with, so that nobody seems to be behind who is not."""
        sample = self._house.sampler.latest
        return sample.ends if sample else None
