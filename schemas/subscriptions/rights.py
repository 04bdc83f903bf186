"""What a reader may see, decided anew for every event at every delivery. Pure.

A right is a scope (gateway/identity.py): `subscribe:PATTERN` gives event types, `clearance:internal` and `clearance:restricted`
what is classified so. Public events need the type's right alone. `only:ATTRIBUTE=PATTERN` narrows to events whose attribute is
so: patterns of one attribute are alternatives, every attribute named must fit, and an event without it is withheld.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from schemas.topics import Classification

Withheld = Literal["right", "classification"]

ONLY: Final = "only:"
_RANK: Final[dict[Classification, int]] = {"public": 0, "internal": 1, "restricted": 2}


def allows(scopes: Sequence[str], wanted: str) -> bool:
    """Whether one of the scopes gives `operation:what`; a star at a scope's end stands for all that begin so."""
    return any(_fits(wanted, scope) for scope in scopes)


def _fits(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def limits_of(scopes: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """To which events the scopes narrow: patterns by attribute. Empty: to none in particular."""
    return _limits(tuple(scopes))


@lru_cache(maxsize=4_096)  # asked for every event, of a few lists
def _limits(scopes: tuple[str, ...]) -> Mapping[str, Sequence[str]]:
    limits: dict[str, list[str]] = {}
    for scope in scopes:
        if scope.startswith(ONLY):
            attribute, _, pattern = scope.removeprefix(ONLY).partition("=")
            limits.setdefault(attribute, []).append(pattern)
    return limits


def _is_within(limits: Mapping[str, Sequence[str]], attributes: Mapping[str, object]) -> bool:
    return not limits or all(
        name in attributes and any(_fits(_text(attributes[name]), pattern) for pattern in patterns)
        for name, patterns in limits.items()
    )


def _text(value: object) -> str:
    """As the attribute stands in an HTTP header."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def clearance_of(scopes: Sequence[str]) -> Classification:
    """The strictest classification that the scopes open. `clearance:restricted` includes internal."""
    if "clearance:restricted" in scopes:
        return "restricted"
    return "internal" if "clearance:internal" in scopes else "public"


@lru_cache(maxsize=4_096)  # as `_limits`
def _gives(scopes: tuple[str, ...], wire_type: str) -> bool:
    return allows(scopes, f"subscribe:{wire_type}")


def classification_of(topic: Classification, label: object) -> Classification:
    """Of one event: the stricter of its topic's and its own `dataclassification`. A label we do not know is restricted."""
    if label is None:
        return topic
    own: Classification = label if label in _RANK else "restricted"
    return max(topic, own, key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True)
class Reader:
    """Whoever an event is delivered to. `scopes`: each list must allow (a partner's, its token's); None: nobody is asked.

    `is_stated`: purpose, legal basis and approver stand in the subscription. Without them only public events go out.
    """

    scopes: tuple[Sequence[str], ...] | None
    is_stated: bool

    def narrowed(self, granted: Sequence[str]) -> "Reader":
        """By the scopes of a token as well; a token without scopes has all of its partner's."""
        return self if self.scopes is None or not granted else replace(self, scopes=(*self.scopes, granted))

    def withholds(self, wire_type: str, classification: Classification, attributes: Mapping[str, object]) -> Withheld | None:
        """Why this event must not go out; None: it may. `attributes`: all of the event's, as filters see them."""
        if not self.may_receive(wire_type):
            return "right"
        for scopes in self.scopes or ():
            if not _is_within(limits_of(scopes), attributes):
                return "right"
        return self.withholds_class(classification)

    def may_receive(self, wire_type: str) -> bool:
        """Whether it has the right to the type, whatever else withholds single events."""
        return self.scopes is None or all(_gives(tuple(scopes), wire_type) for scopes in self.scopes)

    @property
    def is_limited(self) -> bool:
        """Whether events are withheld by what their attributes say."""
        return self.scopes is not None and any(limits_of(scopes) for scopes in self.scopes)

    def withholds_class(self, classification: Classification) -> Withheld | None:
        """Whether everything that is classified so is withheld."""
        return None if _RANK[classification] <= _RANK[self.clearance] else "classification"

    @property
    def clearance(self) -> Classification:
        if not self.is_stated:
            return "public"
        if self.scopes is None:
            return "restricted"
        return min((clearance_of(scopes) for scopes in self.scopes), key=_RANK.__getitem__)
