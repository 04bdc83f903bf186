"""What readers of a type that goes away find in each event: the deprecation extension of CloudEvents.

https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/deprecation.md. The log keeps what its publisher wrote; the
attributes come in when an event goes out, so they hold from the day on which the contract has them, for older events too.
"""

from collections.abc import Mapping
from dataclasses import replace

from schemas.cloudevents import CloudEvent
from schemas.contract import Contract, day_instant, instant_text

Attributes = Mapping[str, str | bool]


def attributes_of(contract: Contract) -> Attributes:
    """{} mostly."""
    if contract.deprecated_on is None:
        return {}
    told: dict[str, str | bool] = {"deprecated": True, "deprecationfrom": instant_text(day_instant(contract.deprecated_on))}
    if contract.sunset_on is not None:
        told["deprecationsunset"] = instant_text(day_instant(contract.sunset_on))
    return told


def told(event: CloudEvent, attributes: Attributes) -> CloudEvent:
    """The event with them, whatever its publisher wrote in their place."""
    return replace(event, extensions={**event.extensions, **attributes})
