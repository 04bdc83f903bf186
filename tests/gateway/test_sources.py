"""Whose a source is: the rule, and that PostgreSQL has the same."""

import json
from itertools import combinations

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.console.queries import kept_found
from gateway.console.queries.rows import IS_OWN, own_values
from gateway.sources import SOURCE_CHARS_MAX, Register, nearest
from monitoring.dashboards.declared import of_partner

GIVEN = {
    "alpha": ["/partners/alpha", "/partners/alpha/lab/ours"],
    "lab": ["/partners/alpha/lab"],
    "beta": ["/partners/alphabet"],
}
_sources = st.lists(st.sampled_from("abc"), min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))


def test_partner_has_what_stands_below_but_for_what_is_given_further_down() -> None:
    assert Register(GIVEN).own("alpha") == {"/partners/alpha": ["/partners/alpha/lab"], "/partners/alpha/lab/ours": []}
    assert Register(GIVEN).own("lab") == {"/partners/alpha/lab": ["/partners/alpha/lab/ours"]}
    assert Register(GIVEN).own("nobody") == {}


def test_source_is_the_nearest_s() -> None:
    whose = {
        "/partners/alpha": "alpha",
        "/partners/alpha/x/y": "alpha",
        "/partners/alpha/lab": "lab",
        "/partners/alpha/lab/x": "lab",
        "/partners/alpha/lab/ours/x": "alpha",
        "/partners/alphabet/1": "beta",
        "/partners/alphab": "",
        "/partners": "",
        "": "",
    }
    register = Register(GIVEN)
    assert {source: "".join(one for one in GIVEN if register.has(one, source)) for source in whose} == whose


def test_longest_source_that_can_be_given_is_found_from_below() -> None:
    longest = "/" + "a" * (SOURCE_CHARS_MAX - 1)
    register = Register({"a": [longest]})
    assert [register.has("a", longest + more) for more in ("", "/x", "/x/" * 10_000, "x")] == [True, True, True, False]


@given(st.sets(_sources, min_size=1), _sources)
def test_every_source_is_in_one_of_all_that_are_given_at_most(sources: set[str], source: str) -> None:
    register = Register({str(number): [one] for number, one in enumerate(sorted(sources))})

    def is_under(upper: str) -> bool:
        return f"{source}/".startswith(f"{upper}/")

    holders = [
        upper
        for number in range(len(sources))
        for upper, lowers in register.own(str(number)).items()
        if is_under(upper) and not any(map(is_under, lowers))
    ]
    assert holders == ([max(filter(is_under, sources), key=len)] if any(map(is_under, sources)) else [])


_HARD = (
    "/partners/alpha",
    "/partners/alpha/lab",
    "/partners/alpha/lab/ours",
    "/partners/alphabet",
    "/partners/al%",
    "/partners/al_ha",
    "/partners/a.*",
    "/partners/a\\b",
    "/partners/研究院",
    "urn:institute:7",
    "/" + "a" * (SOURCE_CHARS_MAX - 1),
)


@pytest.mark.services
def test_postgresql_has_the_same_rule(database: str) -> None:
    """What panels and the console's pages ask is what publishing is judged by: nearest of any of these, given to any."""
    asked = [
        *_HARD,
        *(f"{source}{more}" for source in _HARD for more in ("/", "//", "/x", "/x/y", "x", "/lab/x", "/x" * 200)),
        *("/partners/al", "/partners/alxha", "/partners/alx/y", "/partners", "/", "", "no-slash", "urn:institute:7:lab"),
    ]
    registers = [list(some) for size in (0, 1, 2, len(_HARD)) for some in combinations(_HARD, size)]
    cases = [(source, registered) for source in asked for registered in registers]
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT nearest_source(source, ARRAY(SELECT jsonb_array_elements_text(registered)))"
            " FROM unnest(%s::text[], %s::jsonb[]) WITH ORDINALITY AS each (source, registered, number) ORDER BY number",
            ([source for source, _ in cases], [json.dumps(registered) for _, registered in cases]),
        )
        found = [row[0] for row in cursor.fetchall()]
    differing = [(case, ours) for case, ours in zip(cases, found, strict=True) if nearest(case[0], case[1]) != ours]
    assert differing == []


@pytest.mark.services
@pytest.mark.parametrize("partner", [*sorted(GIVEN), "percent", "underscore"])
def test_panels_and_pages_show_each_partner_its_own(database: str, partner: str) -> None:
    registered = GIVEN | {"percent": ["/partners/al%"], "underscore": ["/partners/al_ha"]}
    register = Register(registered)
    sources = [
        f"{source}{more}" for sources in registered.values() for source in sources for more in ("", "/x", "/lab", "x", "/")
    ]
    sources += ["/partners/alxx", "/partners/alxha", ""]
    expected = sorted(source for source in sources if register.has(partner, source))
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO partner (partner_id, name, scopes, sources, events_per_s, burst_events, events_per_day, changed_by)"
            " VALUES (%s, 'Works', '{publish:*}', %s, 1, 1, 1, 'tests')",
            list(registered.items()),
        )
        panel = of_partner("event_source").replace("${partner:sqlstring}", f"'{partner}'")
        for condition, values in ((panel.replace("%", "%%"), {}), (IS_OWN, own_values(register.own(partner)))):
            cursor.execute(
                f"SELECT event_source FROM unnest(%(asked)s::text[]) event_source WHERE {condition}".encode(),  # noqa: S608
                {"asked": sources} | values,
            )
            assert sorted(row[0] for row in cursor.fetchall()) == expected
        for source in expected:
            assert [item.key for item in kept_found(cursor, source)] == [partner]
