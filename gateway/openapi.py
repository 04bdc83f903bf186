"""The API description: FastAPI's own routes, POST /events, and the contract of every type one may publish."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from gateway import catalogue, problems
from gateway.catalogue import KINDS
from gateway.kind import Kind
from gateway.publish import PATH
from gateway.subscriptions.description import schemas as subscription_schemas
from gateway.subscriptions.kinds import SUBSCRIPTION_KINDS
from gateway.subscriptions.requests import PATH as SUBSCRIPTIONS
from schemas.cloudevents.json_format import BATCH_MEDIA_TYPE, MEDIA_TYPE
from schemas.registry import Registry

_REF = "#/components/schemas/"
_TEXT = {"type": "string"}
_PARTIAL = {"type": "object", "required": ["receipts", "problems"]}
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110's word for a name, no secret
_MEDIA_TYPE = rf"^{_TOKEN}/{_TOKEN}[ \t]*(;[\t -~]*)?$"

ENVELOPE: dict[str, Any] = {
    "type": "object",
    "description": "A CloudEvent 1.0.2 in JSON. Extension attributes may be added: lower-case letters and digits.",
    "required": ["specversion", "id", "source", "type", "subject", "time"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "description": "with `source` the identity: a repeat changes nothing"},
        "source": {"type": "string", "format": "uri-reference", "minLength": 1, "description": "/partners/<id>"},
        "type": _TEXT,
        "subject": {"type": "string", "minLength": 1, "maxLength": 512, "description": "project, call, alert"},
        "time": {"type": "string", "format": "date-time", "description": "when the fact happened"},
        "datacontenttype": {"type": "string", "pattern": _MEDIA_TYPE},
        "dataschema": {"type": "string", "format": "uri"},
        "recordedtime": {"type": "string", "format": "date-time", "description": "added if absent"},
    },
}
_RECEIPT: dict[str, Any] = {
    "type": "object",
    "required": ["id", "source", "receipt", "topic", "partition", "offset"],
    "properties": {
        "id": _TEXT,
        "source": _TEXT,
        "receipt": {"type": "string", "description": "the same record always has the same receipt"},
        "topic": _TEXT,
        "partition": {"type": "integer"},
        "offset": {"type": "integer"},
    },
}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. Branch on `type`; the texts are for people, in the language asked for.",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "instance": {"type": "string", "format": "uri", "description": "names this occurrence in our log"},
        "rule": {"type": "string", "description": "the norm, contract or limit that decided"},
        "next": {"type": "string", "description": "what helps"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail", "pointer", "reason"],
                "properties": {
                    "detail": _TEXT,
                    "pointer": {
                        "type": "string",
                        "format": "json-pointer",
                        "description": "into the body; of a refused JWT, into it",
                    },
                    "reason": {"type": "string", "description": "a stable code"},
                },
            },
        },
        "problems": {
            "type": "array",
            "description": "of a refused batch: one for each refused event, by its index; `errors` has the faults",
            "items": {
                "allOf": [{"$ref": "#/components/schemas/Problem"}],
                "type": "object",
                "required": ["index"],
                "properties": {"index": {"type": "integer", "minimum": 0}},
            },
        },
    },
}


def describe(app: FastAPI, registry: Registry) -> dict[str, Any]:
    """The whole OpenAPI 3.1 document."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=app.description, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _describe_refusals(document["paths"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, item in document["paths"].items():
        if path.startswith(SUBSCRIPTIONS):
            for operation in item.values():
                operation["security"] = _SECURITY
    document["paths"][PATH] = {"post": _publish_operation()}
    document["components"]["securitySchemes"] = {"token": _PARTNER_TOKEN, "signed": _SIGNED_TOKEN}
    schemas |= (
        {"CloudEvent": ENVELOPE, "Receipt": _RECEIPT, "Problem": _PROBLEM} | _contracts(registry) | subscription_schemas()
    )
    document["paths"] = dict(sorted(document["paths"].items()))
    return document


def _describe_refusals(paths: dict[str, Any]) -> None:
    """What any route may answer beside its own: problems of the address, the host, the headers, the parameters, and ours."""
    for path, item in paths.items():
        kinds = [catalogue.HOST_REFUSED, catalogue.HEADERS_TOO_LARGE, catalogue.INTERNAL_ERROR]
        if "{" in path:
            kinds += [catalogue.NOT_FOUND, catalogue.REQUEST_INVALID]
        for operation in item.values():
            described = {str(kind.status): _problem_response(kind) for kind in kinds}
            own = operation["responses"]
            if own.get("422", {}).get("description") == "Validation Error":  # FastAPI's own form, which never leaves us
                own.pop("422")
            operation["responses"] = dict(sorted((described | own).items()))


def _publish_operation() -> dict[str, Any]:
    return {
        "tags": ["events"],
        "operationId": "publishEvents",
        "summary": "Publish one event or a batch",
        "description": (
            "The content type chooses the mode (CloudEvents HTTP binding): structured, batch, or binary with `ce-`"
            " headers, whose body is the data alone. 202 means that all in-sync replicas have every event. All events"
            " of a batch are checked before any is written. Repeat after 503 and 207 with the same ids."
        ),
        "security": _SECURITY,
        "parameters": [
            _IDEMPOTENCY_KEY,
            *(
                {
                    "name": f"ce-{name}",
                    "in": "header",
                    "required": False,
                    "description": f"binary mode only, {'required' if name in ENVELOPE['required'] else 'optional'} there",
                    "schema": schema,
                }
                for name, schema in ENVELOPE["properties"].items()
                if name != "datacontenttype"  # that is Content-Type
            ),
        ],
        "requestBody": {
            # Binary events of a type without data have no body.
            "required": False,
            "content": {
                MEDIA_TYPE: {"schema": {"$ref": f"{_REF}PublishableEvent"}},
                BATCH_MEDIA_TYPE: {"schema": {"type": "array", "maxItems": 1000, "items": {"$ref": f"{_REF}PublishableEvent"}}},
                "application/json": {"schema": {"description": "binary mode: the event's data"}},
            },
        },
        "responses": _responses(),
    }


def _responses() -> dict[str, Any]:
    receipts = {"type": "array", "items": {"$ref": f"{_REF}Receipt"}}
    accepted = {"type": "object", "required": ["receipts"], "properties": {"receipts": receipts}}
    partial = _PARTIAL | {"properties": {"receipts": receipts, "problems": {"type": "array", "items": _item_problem()}}}
    responses: dict[str, Any] = {
        "202": _response("Every event is written.", "application/json", accepted) | {"headers": _DEPRECATION},
        "207": _response("Some events are written; the others were not confirmed.", "application/json", partial)
        | {"headers": _RETRY_AFTER | _DEPRECATION},
    }
    elsewhere = {catalogue.REQUEST_INVALID, catalogue.NOT_FOUND, catalogue.EVENT_UNKNOWN, *SUBSCRIPTION_KINDS}
    for kind in sorted(set(KINDS.values()) - elsewhere, key=lambda kind: (kind.status, kind.slug)):
        known = responses.get(str(kind.status))
        response = _problem_response(kind)
        if known is None:
            responses[str(kind.status)] = response
        else:
            known["description"] += f" {response['description']}"
    for status in ("409", "429", "503"):
        responses[status]["headers"] = _RETRY_AFTER
    return responses


def _problem_response(kind: Kind) -> dict[str, Any]:
    return _response(f"`{kind.slug}`: {kind.title.en}.", problems.MEDIA_TYPE, {"$ref": f"{_REF}Problem"})


# {}: a gateway that asks nobody (gateway.auth none) is described by the same document.
_SECURITY: list[dict[str, list[str]]] = [{"token": []}, {"signed": []}, {}]
_PARTNER_TOKEN = {"type": "http", "scheme": "bearer", "description": "a partner's token, dj_…; where the gateway asks for one"}
_SIGNED_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "a JWT signed by a key that the partner registered (EdDSA, ES256); one for each request",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "A string in double quotes, fresh for each request. The same request again under the same key gets the first"
        " receipts; another request under it is refused (422)."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
}
_DEPRECATION = {
    "Deprecation": {"description": "RFC 9745: the type of an event goes away", "schema": _TEXT},
    "Sunset": {"description": "RFC 8594: from then on it may be gone", "schema": _TEXT},
    "Link": {"description": "`rel=deprecation`: the types concerned", "schema": _TEXT},
}
_RETRY_AFTER = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}


def _response(description: str, media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _item_problem() -> dict[str, Any]:
    place = {"index": {"type": "integer", "description": "in the batch, from 0"}, "id": _TEXT, "source": _TEXT}
    return {"allOf": [{"$ref": f"{_REF}Problem"}, {"type": "object", "required": ["index"], "properties": place}]}


def _contracts(registry: Registry) -> dict[str, Any]:
    """A schema per publishable type: the envelope with that type and its data."""
    contracts = {wire: contract for wire, contract in registry.contracts.items() if not contract.is_internal}
    models = {contract.data for contract in contracts.values()}
    refs, definitions = models_json_schema(
        [(model, "validation") for model in sorted(models, key=lambda model: model.__name__)],
        ref_template=_REF + "{model}",
    )
    schemas: dict[str, Any] = dict(definitions.get("$defs", {}))
    for wire, contract in contracts.items():
        data = {"properties": {"type": {"const": wire}, "data": refs[contract.data, "validation"]}}
        schemas[wire] = {"allOf": [{"$ref": f"{_REF}CloudEvent"}, {"type": "object", **data}]}
    schemas["PublishableEvent"] = {
        "oneOf": [{"$ref": f"{_REF}{wire}"} for wire in sorted(contracts)],
        "discriminator": {"propertyName": "type", "mapping": {wire: f"{_REF}{wire}" for wire in sorted(contracts)}},
    }
    return schemas
