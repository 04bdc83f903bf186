"""Problem details (RFC 9457): one error form for the whole gateway, in English or Chinese.

Problem            raised anywhere in a request; `responses` turns it into application/problem+json
"""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from engine.errors import EnvironmentFault, Fault
from gateway import catalogue
from gateway.kind import Kind
from gateway.languages import Language, Text, language_of

MEDIA_TYPE = "application/problem+json"
DEFAULT_BASE = "urn:dujiang:problem:"
ERRORS_MAX = 1000

log = structlog.get_logger("gateway")


class Place(NamedTuple):
    """One fault within a request: a stable code, a JSON pointer into the body, and what is wrong there."""

    reason: str
    pointer: str
    detail: Text


@dataclass
class Problem(Exception):
    """An answer that is a refusal of so many `events`. `places` are the faults found, ERRORS_MAX at most are shown."""

    kind: Kind
    detail: Text
    places: Sequence[Place] = ()
    rule: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    events: int = 1
    more: Mapping[str, Any] = field(default_factory=dict)  # extension members (RFC 9457, 3.2)
    items: Sequence[tuple[int, "Problem"]] = ()  # of a batch: the index of each refused event, and its own problem

    @property
    def reasons(self) -> list[str]:
        """For logs and counters: codes only, never what a partner wrote."""
        return sorted({place.reason for place in self.places}) or [self.kind.slug]


def _untold(_problem: Problem, _scope: Scope) -> None:
    """Nobody asked to be told of refusals."""


@dataclass(frozen=True)
class ProblemWriter:
    """Writes problems: the base of their type URIs, where instance ids come from, and who is told of each answer."""

    base: str = DEFAULT_BASE
    new_id: Callable[[], UUID] = uuid4
    on_refusal: Callable[[Problem, Scope], None] = _untold

    def members(self, problem: Problem, language: Language, instance: str | None = None) -> dict[str, Any]:
        """The JSON object. Members and their order are RFC 9457's, then ours."""
        kind = problem.kind
        members: dict[str, Any] = {
            "type": self.uri(kind),
            "title": kind.title.in_language(language),
            "status": kind.status,
            "detail": problem.detail.in_language(language),
            "instance": instance or self.instance(),
            "rule": problem.rule or kind.rule,
            "next": kind.next.in_language(language),
        }
        if problem.places:
            members["errors"] = [
                {"detail": place.detail.in_language(language), "pointer": place.pointer, "reason": place.reason}
                for place in problem.places[:ERRORS_MAX]
            ]
        if problem.items:
            members["problems"] = [
                {"index": index} | self.members(item, language, members["instance"]) for index, item in problem.items
            ]
        return members | dict(problem.more)

    def response(self, problem: Problem, scope: Scope, instance: str | None = None) -> Response:
        """The answer to a request, in its reader's language; logged by codes."""
        self.on_refusal(problem, scope)
        language = request_language(scope)
        members = self.members(problem, language, instance)
        log.info(
            "request_refused",
            problem=problem.kind.slug,
            reasons=problem.reasons,
            faults=len(problem.places),
            instance=members["instance"],
        )
        headers = {"content-language": language, "vary": "accept-language", **problem.headers}
        if problem.kind.retry_after_s is not None:
            headers["retry-after"] = str(problem.kind.retry_after_s)
        body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
        return Response(body, problem.kind.status, headers, MEDIA_TYPE)

    def uri(self, kind: Kind) -> str:
        """The `type` member. A kind outside the catalogue says no more than its HTTP status."""
        return f"{self.base}{kind.slug}" if kind.slug in catalogue.KINDS else "about:blank"

    def instance(self) -> str:
        return f"urn:uuid:{self.new_id()}"


def of_fault(fault: Fault) -> Problem:
    """What an engine's fault means to the one who asked."""
    if isinstance(fault, EnvironmentFault):
        # What Kafka said names our topics and users: it goes to the log, not to the partner.
        log.error("publish_refused", fault=str(fault), remedy=fault.remedy)
        return Problem(catalogue.BROKER_REFUSED, catalogue.BROKER_REFUSED.meaning)
    return Problem(catalogue.NOT_CONFIRMED, catalogue.NOT_CONFIRMED.meaning)


def request_language(scope: Scope) -> Language:
    """The language of the answer."""
    for name, value in scope["headers"]:
        if name == b"accept-language":
            return language_of(value.decode("latin-1"))
    return language_of("")


def install(app: FastAPI, writer: ProblemWriter) -> None:
    """Every error leaves the app as a problem, whoever raised it; and the pages that explain them."""

    async def on_problem(request: Request, error: Exception) -> Response:
        return writer.response(_problem_of(error), request.scope)

    async def on_bug(request: Request, error: Exception) -> Response:
        # Frames only: the message and the locals of a bug may hold what a partner wrote.
        frames = "".join(traceback.format_tb(error.__traceback__))
        name, instance = type(error).__qualname__, writer.instance()
        log.error("request_failed", route=_route(request), error=name, frames=frames, instance=instance)
        problem = Problem(catalogue.INTERNAL_ERROR, catalogue.INTERNAL_ERROR.meaning)
        return writer.response(problem, request.scope, instance)

    for kind in (Problem, Fault, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, on_problem)
    app.add_exception_handler(Exception, on_bug)
    _add_pages(app, writer)


def _route(request: Request) -> str | None:
    """The template of the path, without what stood in it."""
    return getattr(request.scope.get("route"), "path", None)


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Fault):
        return of_fault(error)
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for no other class
    return _of_http(error)


def _of_http(error: HTTPException) -> Problem:
    known = {404: catalogue.NOT_FOUND, 405: catalogue.METHOD_NOT_ALLOWED}.get(error.status_code)
    headers = dict(error.headers or {})
    if known is not None:
        return Problem(known, known.meaning, headers=headers)
    phrase = HTTPStatus(error.status_code).phrase
    said = str(error.detail)
    detail = Text(said, said)
    kind = Kind("about:blank", error.status_code, Text(phrase, phrase), detail, detail, catalogue.HTTP)
    return Problem(kind, detail, headers=headers)


def _of_validation(error: RequestValidationError) -> Problem:
    kind = catalogue.REQUEST_INVALID
    places = [
        Place(fault["type"], "".join(f"/{part}" for part in fault["loc"][1:]), Text(fault["msg"], fault["msg"]))
        for fault in error.errors()[:ERRORS_MAX]
    ]
    return Problem(kind, kind.meaning, places)


def _add_pages(app: FastAPI, writer: ProblemWriter) -> None:
    @app.get("/problems", tags=["problems"], summary="All kinds of problem", response_class=JSONResponse)
    async def list_problems() -> Response:
        return JSONResponse({"problems": [_page(kind, writer) for kind in catalogue.KINDS.values()]})

    @app.get(
        "/problems/{slug}",
        tags=["problems"],
        summary="What a kind of problem means and what helps",
        response_class=JSONResponse,
    )
    async def get_problem(slug: str) -> Response:
        kind = catalogue.KINDS.get(slug)
        if kind is None:
            raise HTTPException(404)
        return JSONResponse(_page(kind, writer))


def _page(kind: Kind, writer: ProblemWriter) -> dict[str, Any]:
    return {
        "type": writer.uri(kind),
        "status": kind.status,
        "title": kind.title._asdict(),
        "meaning": kind.meaning._asdict(),
        "next": kind.next._asdict(),
        "rule": kind.rule,
    }
