"""Whose a source is. Pure."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.sources import SOURCE_CHARS_MAX, Register

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
