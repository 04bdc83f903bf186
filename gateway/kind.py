"""The form of a kind of problem; the kinds themselves stand in `catalogue` and beside what raises them."""

from dataclasses import dataclass

from gateway.languages import Text


@dataclass(frozen=True, slots=True)
class Kind:
    """One problem type. `next` is what the reader can do; `rule` is the norm, contract or limit that decided."""

    slug: str
    status: int
    title: Text
    meaning: Text
    next: Text
    rule: str
    retry_after_s: int | None = None
