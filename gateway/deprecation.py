"""What publishers of a contract that goes away are told: Deprecation (RFC 9745), Sunset (RFC 8594), and where to read on.

Telling is all: an event of a deprecated type is taken as before, and one after its sunset for as long as the code has it.
"""

from collections.abc import Iterable
from datetime import date
from email.utils import format_datetime
from typing import Final

from schemas.contract import Contract, day_instant
from schemas.registry import Registry

LINKS_MAX: Final = 10  # a batch may hold many types, a header not


class Deprecations:
    """Of one registry."""

    def __init__(self, registry: Registry) -> None:
        self._contracts = {
            wire: contract for wire, contract in registry.contracts.items() if contract.deprecated_on is not None
        }

    def headers(self, types: Iterable[str]) -> dict[str, str]:
        """For an answer that concerns these event types: the earliest days, and a link for each type. {} mostly."""
        if not self._contracts:
            return {}
        concerned = {wire: self._contracts[wire] for wire in types if wire in self._contracts}
        return _headers(concerned) if concerned else {}


def _headers(contracts: dict[str, Contract]) -> dict[str, str]:
    deprecated = min(contract.deprecated_on for contract in contracts.values() if contract.deprecated_on)
    sunsets = [contract.sunset_on for contract in contracts.values() if contract.sunset_on]
    links = [f'</types/{wire}>; rel="deprecation"; type="application/json"' for wire in sorted(contracts)[:LINKS_MAX]]
    headers = {"deprecation": f"@{int(day_instant(deprecated).timestamp())}", "link": ", ".join(links)}
    if sunsets:
        headers["sunset"] = http_date(min(sunsets))
    return headers


def http_date(day: date) -> str:
    """The beginning of a day in UTC, as RFC 9110, 5.6.7 has it."""
    return format_datetime(day_instant(day), usegmt=True)
