"""Nobody passes without a token of a partner, but to what is open to all. Only built when `gateway.auth` is token."""

from functools import partial
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from engine.errors import Fault
from gateway.body import declared_length, discard
from gateway.caller import Caller, Renewed
from gateway.directory import Directory
from gateway.hearing import Hearing
from gateway.identity import COMPACT, Identity, bearer_token, digest_of, right_missing, token_invalid
from gateway.limits import Meters
from gateway.metrics import GatewayMetrics
from gateway.problems import Problem, ProblemWriter
from gateway.publish import PATH, TRACE_PATH
from gateway.signatures import Signatures
from gateway.store import store_away
from gateway.subscriptions.requests import PATH as SUBSCRIPTIONS
from gateway.subscriptions.requests import subscribe_right_missing
from sinks.webhooks.handshake import CALLBACK_PATH

# Descriptions and health. Whatever is not named here needs a token, so that a new route is closed until somebody opens it.
OPEN: Final = ("/health/", "/problems", "/openapi.json", "/types", "/schemas/", "/asyncapi.json", "/registry")
_READING: Final = frozenset(("GET", "HEAD"))
_REDIRECTED: Final = 300  # and all above: nothing was taken


class Guard:
    """ASGI middleware."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        directory: Directory,
        signatures: Signatures | None,
        meters: Meters,
        problems: ProblemWriter,
        metrics: GatewayMetrics,
        hearing: Hearing | None = None,
    ) -> None:
        self._app = app
        self._directory = directory
        self._signatures = signatures
        self._meters = meters
        self._problems = problems
        self._metrics = metrics
        self._hearing = hearing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_open(scope["method"], scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            identity, renewed = await self._identity(scope)
        except Problem as problem:
            await self._refuse(problem, scope, receive, send)
            return
        # An organisation's id, for whoever looks into a refusal; nothing of the token.
        with bound_contextvars(partner=identity.partner.partner_id):
            meter = self._meters.of(identity.partner.partner_id, identity.partner.allowance)
            caller = Caller(identity, meter, renewed)
            try:
                caller.enter(scope)
                if self._signatures is not None:
                    await self._signatures.use(identity)
                _refuse_path(identity, scope["path"])
            except Problem as problem:
                await self._refuse(problem, scope, receive, send)
            else:
                await self._app(scope, receive, _with_limits(send, caller, self._hearing if brings_events(scope) else None))

    async def _refuse(self, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.refused(problem.kind.slug, problem.events)
        length = next((value for name, value in scope["headers"] if name == b"content-length"), None)
        await discard(receive, declared_length(length))
        await self._problems.response(problem, scope)(scope, receive, send)

    async def _identity(self, scope: Scope) -> tuple[Identity, Renewed]:
        """Who asks, and how to ask again while the request lasts."""
        token = bearer_token([value for name, value in scope["headers"] if name == b"authorization"])
        try:
            if self._signatures is not None and COMPACT.fullmatch(token):
                signer = await self._signatures.identity(token)
                return signer, partial(self._signatures.again, signer)
            digest = digest_of(token)
            found = await self._directory.find(digest)
        except Fault as fault:
            raise store_away(fault) from None
        if found is None:
            raise token_invalid()
        return found, partial(self._directory.find, digest)


def _is_open(method: str, path: str) -> bool:
    """A callback's address is a secret of its own: endpoints have no token."""
    return (method in _READING and path.startswith(OPEN)) or path.startswith(f"{CALLBACK_PATH}/")


def _refuse_path(identity: Identity, path: str) -> None:
    """What may be published, received or traced is looked at where the events are known. Raises Problem."""
    if path in (PATH, TRACE_PATH):
        return
    if _is_of_subscriptions(path):
        if not identity.may_receive():
            raise subscribe_right_missing()
    elif not identity.may("call", path):
        raise right_missing()


def _is_of_subscriptions(path: str) -> bool:
    return path == SUBSCRIPTIONS or path.startswith(f"{SUBSCRIPTIONS}/")


def brings_events(scope: Scope) -> bool:
    """Whether events come in by this request: published, or as a webhook, whose connector the gateway does not know."""
    return scope["method"] == "POST" and not _is_of_subscriptions(scope["path"])


def _with_limits(send: Send, caller: Caller, hearing: Hearing | None) -> Send:
    """Every answer says what is left; one that takes what the partner brought is a sign of life of it."""

    async def send_with_limits(message: Message) -> None:
        if message["type"] == "http.response.start":
            if hearing is not None and message["status"] < _REDIRECTED:
                hearing.hear(caller.partner_id)
            limits = {name.encode(): value.encode() for name, value in caller.limits().items()}
            others = [pair for pair in message["headers"] if pair[0] not in limits]
            message = {**message, "headers": [*others, *limits.items()]}
        await send(message)

    return send_with_limits
