"""Contracts, served: event types, their schemas by revision, AsyncAPI, and an xRegistry-shaped view of the same.

All of it comes from the registry of contracts and the published revisions, and is made when the app is.
"""

from functools import cache
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from gateway import asyncapi, catalogue, xregistry
from gateway.deprecation import Deprecations
from gateway.documents import CACHE_CONTROL, IMMUTABLE, Document
from gateway.languages import Text
from gateway.problems import Problem
from schemas import published
from schemas.contract import Contract
from schemas.published import FOLDER, Revisions
from schemas.registry import Registry

SCHEMA_MEDIA_TYPE: Final = "application/schema+json"
_NOT_MODIFIED: Final[dict[int | str, dict[str, Any]]] = {304: {"description": "Unchanged since the ETag sent."}}


def install(app: FastAPI, registry: Registry, known: Revisions | None = None) -> None:
    """Add the routes. `known` are the published revisions; those of the package unless others are given."""
    _Documents(registry, published.load(FOLDER) if known is None else known).install(app)


class _Documents:
    """Every document, by what its address names."""

    def __init__(self, registry: Registry, known: Revisions) -> None:
        deprecations = Deprecations(registry)
        self._schemas: dict[tuple[str, str], Document] = {}
        self._types: dict[str, Document] = {}
        entries = []
        for wire, contract in registry.contracts.items():
            revisions = published.revisions_of(contract, known)
            entry = _entry(wire, contract, [revision.number for revision in revisions])
            entries.append(entry)
            self._types[wire] = Document(entry, headers=deprecations.headers([wire]))
            for revision in revisions:
                schema = {"$id": schema_id(wire, revision.number), **revision.schema}
                is_final = revision in known.get(contract.versioned_name, ())
                caching = IMMUTABLE if is_final else CACHE_CONTROL
                self._schemas[wire, str(revision.number)] = Document(schema, SCHEMA_MEDIA_TYPE, cache_control=caching)
        self._list = Document({"types": entries})
        self._asyncapi = Document(asyncapi.describe(registry), asyncapi.MEDIA_TYPE)
        self._registry = {
            path: Document(entity.content, entity.media_type) for path, entity in xregistry.view(registry, known).items()
        }

    def install(self, app: FastAPI) -> None:
        tags: list[Any] = ["contracts"]

        @app.get("/types", tags=tags, summary="All event types", responses=_NOT_MODIFIED)
        async def list_types(request: Request) -> Response:
            return self._list.answer(request)

        @app.get("/types/{type}", tags=tags, summary="One event type", responses=_NOT_MODIFIED)
        async def get_type(request: Request, type: str) -> Response:  # noqa: A002 - the attribute's name
            return _found(self._types.get(type)).answer(request)

        @app.get(
            "/schemas/{type}/{revision}",
            tags=tags,
            summary="The JSON Schema (2020-12) of a type's data, by revision",
            responses={200: {"content": {SCHEMA_MEDIA_TYPE: {}}}, **_NOT_MODIFIED},
        )
        async def get_schema(request: Request, type: str, revision: str) -> Response:  # noqa: A002
            return _found(self._schemas.get((type, revision))).answer(request)

        @app.get(
            "/asyncapi.json",
            tags=tags,
            summary="All topics and their messages (AsyncAPI 3.1)",
            responses={200: {"content": {asyncapi.MEDIA_TYPE: {}}}, **_NOT_MODIFIED},
        )
        async def get_asyncapi(request: Request) -> Response:
            return self._asyncapi.answer(request)

        @app.get("/registry", tags=tags, summary="The contracts in the shape of xRegistry", responses=_NOT_MODIFIED)
        async def get_registry(request: Request) -> Response:
            return self._registry[""].answer(request)

        @app.get(
            "/registry/{path:path}",
            tags=tags,
            summary="A part of the xRegistry-shaped view",
            responses={200: {"content": {SCHEMA_MEDIA_TYPE: {}}}, **_NOT_MODIFIED},
        )
        async def get_registry_entity(request: Request, path: str) -> Response:
            return _found(self._registry.get(f"/{path}")).answer(request)

        description = cache(lambda: Document(app.openapi()))

        @app.get("/openapi.json", include_in_schema=False)
        async def get_openapi(request: Request) -> Response:
            return description().answer(request)


def schema_id(wire: str, revision: int) -> str:
    """Names a revision wherever it is kept; the gateway's own address may change."""
    return f"urn:dujiang:schema:{wire}:{revision}"


def schema_path(wire: str, revision: int) -> str:
    """Where the gateway serves it."""
    return f"/schemas/{wire}/{revision}"


def _entry(wire: str, contract: Contract, revisions: list[int]) -> dict[str, Any]:
    topic = contract.topics[0]
    entry: dict[str, Any] = {
        "type": wire,
        "description": " ".join((contract.data.__doc__ or "").split()),
        "subject": topic.key,
        "topics": list(contract.topic_names),
        "classification": topic.classification,
        "internal": contract.is_internal,
        "revision": revisions[-1],
        "schema": schema_path(wire, revisions[-1]),
        "revisions": [schema_path(wire, number) for number in revisions],
    }
    days = {"deprecated_on": contract.deprecated_on, "sunset_on": contract.sunset_on}
    return entry | {name: day.isoformat() for name, day in days.items() if day is not None}


def _found(document: Document | None) -> Document:
    if document is None:
        detail = Text(
            "no contract has this name and revision; GET /types lists all", "没有该名称或版次的契约；GET /types 列出全部"
        )
        raise Problem(catalogue.NOT_FOUND, detail)
    return document
