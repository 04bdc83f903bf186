"""The contracts in the shape of xRegistry 1.0-rc4 (messages and schemas), read-only. Pure.

A projection, no conforming registry: no filters, no inlining, no time stamps. URLs are relative to the gateway's root, since
it does not know the name under which it is reached. A schema's versions are its published revisions; the major version stands
in its name.
"""

from typing import Any, Final, NamedTuple

from schemas import published
from schemas.contract import Contract
from schemas.published import Revisions
from schemas.registry import Registry

SPEC_VERSION: Final = "1.0-rc4"
SCHEMA_FORMAT: Final = "JsonSchema/2020-12"
BASE: Final = "/registry"
_JSON: Final = "application/json"


class Entity(NamedTuple):
    """What an address below BASE answers."""

    content: Any
    media_type: str = _JSON


def view(registry: Registry, known: Revisions) -> dict[str, Entity]:
    """Every entity by its path below BASE; "" is the registry itself."""
    groups: dict[str, dict[str, Contract]] = {}
    for wire, contract in registry.contracts.items():
        groups.setdefault(f"{registry.prefix}.{contract.name.partition('.')[0]}", {})[wire] = contract
    entities: dict[str, Entity] = {}
    messages = {group: _messages(entities, group, types, known) for group, types in groups.items()}
    schemas = {group: _schemas(entities, group, types, known) for group, types in groups.items()}
    entities["/messagegroups"] = Entity(messages)
    entities["/schemagroups"] = Entity(schemas)
    entities[""] = Entity(
        {
            "specversion": SPEC_VERSION,
            "registryid": "dujiang",
            **_common("/"),
            "messagegroupsurl": f"{BASE}/messagegroups",
            "messagegroupscount": len(messages),
            "schemagroupsurl": f"{BASE}/schemagroups",
            "schemagroupscount": len(schemas),
        }
    )
    return entities


def _common(xid: str, suffix: str = "") -> dict[str, Any]:
    return {"self": f"{BASE}{xid.rstrip('/')}{suffix}", "xid": xid, "epoch": 1}


def _messages(entities: dict[str, Entity], group: str, types: dict[str, Contract], known: Revisions) -> dict[str, Any]:
    """A group of message definitions; adds it and all in it."""
    xid = f"/messagegroups/{group}"
    messages = {}
    for wire, contract in types.items():
        number = published.of_code(contract, known).number
        message = _message(f"{xid}/messages/{wire}", wire, contract, f"/schemagroups/{group}/schemas/{wire}/versions/{number}")
        messages[wire] = message
        entities[f"{xid}/messages/{wire}"] = Entity(message)
    entities[f"{xid}/messages"] = Entity(messages)
    entity = {
        "messagegroupid": group,
        **_common(xid),
        "envelope": "CloudEvents/1.0",
        "messagesurl": f"{BASE}{xid}/messages",
        "messagescount": len(messages),
    }
    entities[xid] = Entity(entity)
    return entity


def _message(xid: str, wire: str, contract: Contract, schema_xid: str) -> dict[str, Any]:
    message: dict[str, Any] = {
        "messageid": wire,
        "versionid": "1",
        **_common(xid),
        "description": " ".join((contract.data.__doc__ or "").split()),
        "envelope": "CloudEvents/1.0",
        "envelopemetadata": {
            "specversion": {"type": "string", "value": "1.0", "required": True},
            "id": {"type": "string", "required": True},
            "type": {"type": "string", "value": wire, "required": True},
            "source": {"type": "urireference", "required": True},
            "subject": {"type": "string", "required": True},
            "time": {"type": "timestamp", "required": True},
        },
        "protocol": "KAFKA",
        "protocoloptions": {"topic": contract.topics[0].name},
        "datacontenttype": "application/json",
        "dataschemaformat": SCHEMA_FORMAT,
        "dataschemauri": f"{BASE}{schema_xid}",
        "dataschemaxid": schema_xid,
    }
    if contract.deprecated_on is not None:
        deprecated = {"effective": f"{contract.deprecated_on.isoformat()}T00:00:00Z"}
        if contract.sunset_on is not None:
            deprecated["removal"] = f"{contract.sunset_on.isoformat()}T00:00:00Z"
        message["deprecated"] = deprecated
    return message


def _schemas(entities: dict[str, Entity], group: str, types: dict[str, Contract], known: Revisions) -> dict[str, Any]:
    """A group of schemas; adds it and all in it. An address with `$details` gives what is said of a schema, one without the
    schema itself.
    """
    xid = f"/schemagroups/{group}"
    schemas = {}
    for wire, contract in types.items():
        at = f"{xid}/schemas/{wire}"
        revisions = published.revisions_of(contract, known)
        versions = {}
        for revision in revisions:
            place = f"{at}/versions/{revision.number}"
            versions[str(revision.number)] = {
                "schemaid": wire,
                "versionid": str(revision.number),
                **_common(place, "$details"),
                "isdefault": revision is revisions[-1],
                "ancestor": str(max(1, revision.number - 1)),
                "format": SCHEMA_FORMAT,
            }
            entities[place] = Entity(revision.schema, "application/schema+json")
            entities[f"{place}$details"] = Entity(versions[str(revision.number)])
        newest = versions[str(revisions[-1].number)]
        schemas[wire] = {
            **newest,
            **_common(at, "$details"),
            "versionsurl": f"{BASE}{at}/versions",
            "versionscount": len(versions),
        }
        entities[at] = Entity(revisions[-1].schema, "application/schema+json")
        entities[f"{at}$details"] = Entity(schemas[wire])
        entities[f"{at}/versions"] = Entity(versions)
    entities[f"{xid}/schemas"] = Entity(schemas)
    entity = {
        "schemagroupid": group,
        **_common(xid),
        "schemasurl": f"{BASE}{xid}/schemas",
        "schemascount": len(schemas),
    }
    entities[xid] = Entity(entity)
    return entity
