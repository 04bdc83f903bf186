"""Evaluation as a test reads it best: the value, and the kind of the first error or None."""

from collections.abc import Callable

import pytest

from schemas.filters import cesql

Run = Callable[..., tuple[cesql.Value, str | None]]


@pytest.fixture(scope="session")
def run() -> Run:
    def evaluate(expression: str, **attributes: cesql.Value) -> tuple[cesql.Value, str | None]:
        event: dict[str, cesql.Value] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **attributes}
        before = dict(event)
        try:
            value, errors = cesql.parse(expression).evaluate(event)
        except cesql.ParseError as error:
            return False, error.kind
        assert event == before
        return value, errors[0].kind if errors else None

    return evaluate
