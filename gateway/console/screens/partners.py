"""Partners."""

from starlette.requests import Request

from gateway.console import queries
from gateway.console.markup import Markup, join
from gateway.console.pages import frame, partners, subscriptions
from gateway.console.pieces import notice
from gateway.console.queries import SubscriptionFilter
from gateway.console.rights import Right
from gateway.console.screens.house import CALM_S, House, page_at
from gateway.console.words import Speech


class PartnerScreens:
    """Partners."""

    def __init__(self, house: House) -> None:
        self._house = house

    def mount(self) -> None:
        page_at("/partners", self.partners)
        page_at("/partners/{key}", self.partner)

    async def partners(self, request: Request) -> None:
        visit = self._house.visit(request)
        own = None if visit.user.may(Right.SEE_ALL) else visit.user.partner_id
        with self._house.page(visit, "partners", "partners.title"):

            async def build(say: Speech) -> Markup:
                rows = await self._house.own.read(lambda cursor: queries.kept_partners(cursor, own))
                tallies = await self._house.kept_view("day_tallies", queries.day_tallies)
                register = await self._house.own.read(queries.kept_register)
                return partners.list_section(say, rows, await self._house.pulse(), tallies.value, register)

            await self._house.live(visit, build, CALM_S)

    async def partner(self, request: Request, key: str) -> None:
        visit = self._house.visit(request)
        with self._house.page(visit, "partners", "partner", beside=key) as say:
            if not visit.user.may(Right.SEE_ALL) and visit.user.partner_id != key:
                self._house.refuse(visit, say)
                return

            async def build(say: Speech) -> Markup:
                rows = await self._house.own.read(lambda cursor: queries.kept_partners(cursor, key))
                if not rows:
                    return notice(say("missing_why", what=say("partner"), key=key), "warn")
                register = await self._house.own.read(queries.kept_register)
                own = register.own(key)
                beats = partners.beats_from(key, await self._house.pulse(), register)
                causes = await self._house.views.read(lambda cursor: queries.causes(cursor, own))
                tallies = await self._house.views.read(
                    lambda cursor: [
                        *(one for source, parted in own.items() for one in queries.tallies(cursor, source, parted)),
                        *queries.turned_away(cursor, key),
                        *queries.sent_again(cursor, key),
                    ]
                )
                credentials = await self._house.own.read(lambda cursor: queries.kept_credentials(cursor, key))
                held = await self._house.views.read(lambda cursor: queries.subscriptions(cursor, SubscriptionFilter(), key))
                return join(
                    frame.title(rows[0].name),
                    partners.sheet(say, rows[0], beats, causes, tallies, sees_all=visit.user.may(Right.SEE_ALL)),
                    subscriptions.list_section(say, held, SubscriptionFilter(words=key)),
                    partners.credentials_section(say, credentials),
                )

            await self._house.live(visit, build, CALM_S)
