"""Who signed a request's JWT: the rules of `signed`, with the keys, the clock and the memory of what was used."""

from dataclasses import replace

from engine.clock import Clock
from engine.errors import Fault
from gateway.identity import Identity
from gateway.keys import Keys
from gateway.replays import Replays, use_of
from gateway.signed import kept_until, read, replayed, verify
from gateway.store import store_away


class Signatures:
    """`audience` is the gateway's name: a token for another gateway is none for this one."""

    def __init__(self, keys: Keys, replays: Replays, clock: Clock, audience: str) -> None:
        self._keys = keys
        self._replays = replays
        self._clock = clock
        self._audience = audience

    async def identity(self, token: str) -> Identity:
        """Whose it is; the use of it is still to be claimed. Raises Problem, TransientFault or EnvironmentFault."""
        signed = read(token, self._audience, self._clock.now())
        return verify(signed, await self._keys.find(signed.issuer, signed.kid))

    async def again(self, identity: Identity) -> Identity | None:
        """The same with the partner's rights of now, for answers that outlive their token; None once its key is revoked.

        Raises TransientFault or EnvironmentFault.
        """
        key = await self._keys.find(identity.partner.partner_id, identity.kid or "")
        return None if key is None else replace(identity, partner=key.partner)

    async def use(self, identity: Identity) -> None:
        """The token works this once. Raises Problem."""
        if identity.jti is None:
            return
        use = use_of(identity.partner.partner_id, identity.jti, kept_until(identity.expires_at))
        try:
            is_first = await self._replays.is_first(use)
        except Fault as fault:
            raise store_away(fault) from None
        if not is_first:
            raise replayed()
