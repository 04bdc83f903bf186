"""The schemas of subscribers' requests and answers, for the OpenAPI."""

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gateway.subscriptions.requests import RehearsalBody, SubscriptionBody
from schemas.subscriptions.settings import SETTINGS

_REF: Final = "#/components/schemas/"
_TEXT: Final = {"type": "string"}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_CURSOR: Final = {"type": "string", "description": "opaque; keep it and send it as it is"}
_WITHHELD: Final = {
    "type": "object",
    "description": "events of the types asked for that may not go out, counted before any filter is asked",
    "required": ["right", "classification"],
    "properties": {"right": _COUNT, "classification": _COUNT},
}
_STATES: Final = ["pending_validation", "enabled", "paused", "disabled", "expired"]
_EVENTS: Final = {"type": "array", "items": {"$ref": f"{_REF}CloudEvent"}}


def schemas() -> dict[str, Any]:
    """By name."""
    models: list[type[BaseModel]] = [SubscriptionBody, RehearsalBody, *SETTINGS.values()]
    _, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REF + "{model}")
    bodies: dict[str, Any] = definitions["$defs"]
    return bodies | {
        "Subscription": _subscription(bodies["SubscriptionBody"]["properties"]),
        "SubscriptionList": {
            "type": "object",
            "required": ["subscriptions"],
            "properties": {
                "subscriptions": {"type": "array", "items": {"$ref": f"{_REF}Subscription"}},
                "next": {"type": "string", "format": "uuid", "description": "`after` of the next page, if there is one"},
            },
        },
        "EventPage": {
            "type": "object",
            "required": ["events", "cursor", "has_more", "withheld"],
            "properties": {
                "events": _EVENTS,
                "cursor": _CURSOR,
                "has_more": {"type": "boolean", "description": "ask again at once; else with `wait`"},
                "withheld": _WITHHELD,
            },
        },
        "Rehearsal": _rehearsal(),
    }


def _subscription(sent: dict[str, Any]) -> dict[str, Any]:
    """What was sent, absent where it was left out, and what became of it."""
    ours = {
        "id": {"type": "string", "format": "uuid"},
        "owner": {"type": "string", "description": "your partner id; - where nobody is asked who he is"},
        "granted": {
            "type": "array",
            "items": _TEXT,
            "description": "scopes of the token that ordered it, where it had any: they narrow what goes out",
        },
        "state": {"type": "string", "enum": _STATES},
        "reason": {"type": "string", "description": "why it is in this state: a stable code"},
        "state_by": {"type": "string", "enum": ["partner", "operator", "platform"]},
        "state_since": _INSTANT,
        "note": {"type": "string", "description": "an operator's words, or why an endpoint did not consent yet"},
        "revision": {"type": "integer", "minimum": 1, "description": "also the ETag"},
        "created_at": _INSTANT,
        "changed_at": _INSTANT,
        "effective_at": _INSTANT | {"description": "from then on every gateway and worker goes by this revision"},
        "cursor": _CURSOR | {"description": "where reading begins"},
    }
    required = ["id", "owner", "protocol", "types", "filters", "start", "state", "reason", "state_by", "state_since"]
    return {
        "type": "object",
        "required": [*required, "revision", "created_at", "changed_at", "effective_at"],
        "properties": sent | ours,
    }


def _rehearsal() -> dict[str, Any]:
    looked_at = {
        "type": "object",
        "required": ["since", "until", "records", "is_complete", "stopped_by"],
        "properties": {
            "since": _INSTANT,
            "until": _INSTANT,
            "records": _COUNT,
            "is_complete": {"type": "boolean"},
            "stopped_by": {"type": ["string", "null"], "enum": ["records", "time", None]},
        },
    }
    return {
        "type": "object",
        "required": ["looked_at", "matched", "matched_by_day", "withheld", "samples"],
        "properties": {
            "looked_at": looked_at,
            "matched": _COUNT,
            "matched_by_day": {
                "type": "object",
                "description": "by the day (UTC) on which the event was recorded",
                "additionalProperties": _COUNT,
            },
            "withheld": _WITHHELD,
            "samples": _EVENTS,
        },
    }
