"""What a reader may see, decided anew for every event at every delivery. Pure.

A right is a scope (gateway/identity.py): `subscribe:PATTERN` gives event types, `clearance:internal` and `clearance:restricted`
what is classified so. Public events need the type's right alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas.topics import Classification

Withheld = Literal["right", "classification"]

_RANK: Final[dict[Classification, int]] = {"public": 0, "internal": 1, "restricted": 2}


def allows(scopes: Sequence[str], wanted: str) -> bool:
    """Whether one of the scopes gives `operation:what`; a star at a scope's end stands for all that begin so."""
    return any(wanted.startswith(scope[:-1]) if scope.endswith("*") else wanted == scope for scope in scopes)


def clearance_of(scopes: Sequence[str]) -> Classification:
    """The strictest classification that the scopes open. `clearance:restricted` includes internal."""
    if "clearance:restricted" in scopes:
        return "restricted"
    return "internal" if "clearance:internal" in scopes else "public"


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

    def withholds(self, wire_type: str, classification: Classification) -> Withheld | None:
        """Why this event must not go out; None: it may."""
        wanted = f"subscribe:{wire_type}"
        if self.scopes is not None and not all(allows(scopes, wanted) for scopes in self.scopes):
            return "right"
        return None if _RANK[classification] <= _RANK[self.clearance] else "classification"

    @property
    def clearance(self) -> Classification:
        if not self.is_stated:
            return "public"
        if self.scopes is None:
            return "restricted"
        return min((clearance_of(scopes) for scopes in self.scopes), key=_RANK.__getitem__)
