"""Who may see what: type by type, and by classification."""

import pytest

from schemas.subscriptions import Reader, Withheld, allows, classification_of, clearance_of
from schemas.topics import Classification

ALERT = "gov.stiib.infra.alert.raised.v1"
CALL = "gov.stiib.research.call.opened.v1"


@pytest.mark.parametrize(
    ("scopes", "wanted", "is_allowed"),
    [
        ((f"subscribe:{CALL}",), f"subscribe:{CALL}", True),
        (("subscribe:gov.stiib.research.*",), f"subscribe:{CALL}", True),
        (("subscribe:gov.stiib.research.*",), f"subscribe:{ALERT}", False),
        (("publish:*",), f"subscribe:{CALL}", False),
        (("subscribe:gov.stiib.research",), f"subscribe:{CALL}", False),
        ((), f"subscribe:{CALL}", False),
    ],
)
def test_a_scope_is_a_name_or_a_beginning(scopes: tuple[str, ...], wanted: str, is_allowed: bool) -> None:
    assert allows(scopes, wanted) is is_allowed


@pytest.mark.parametrize(
    ("scopes", "clearance"),
    [
        ((), "public"),
        (("subscribe:*",), "public"),
        (("clearance:internal",), "internal"),
        (("clearance:internal", "clearance:restricted"), "restricted"),
    ],
)
def test_clearance_is_granted_by_name_alone(scopes: tuple[str, ...], clearance: Classification) -> None:
    assert clearance_of(scopes) == clearance


@pytest.mark.parametrize(
    ("topic", "label", "classification"),
    [
        ("public", None, "public"),
        ("internal", "public", "internal"),
        ("public", "internal", "internal"),
        ("public", "restricted", "restricted"),
        ("public", "confidential", "restricted"),
        ("public", "核心", "restricted"),
        ("public", 3, "restricted"),
        ("restricted", None, "restricted"),
    ],
)
def test_the_stricter_classification_counts_and_an_unknown_one_is_the_strictest(
    topic: Classification, label: object, classification: Classification
) -> None:
    assert classification_of(topic, label) == classification


@pytest.mark.parametrize(
    ("scopes", "is_stated", "classification", "withheld"),
    [
        ((["subscribe:*"],), False, "public", None),
        ((["subscribe:*", "clearance:restricted"],), False, "internal", "classification"),
        ((["subscribe:*", "clearance:restricted"],), True, "restricted", None),
        ((["subscribe:*", "clearance:internal"],), True, "restricted", "classification"),
        ((["subscribe:*", "clearance:restricted"], ["subscribe:*"]), True, "internal", "classification"),
        ((["subscribe:*"], ["subscribe:gov.stiib.research.*"]), True, "public", "right"),
        (([],), True, "public", "right"),
        (None, False, "internal", "classification"),
        (None, True, "restricted", None),
    ],
)
def test_type_clearance_and_stated_purpose_must_all_allow(
    scopes: tuple[list[str], ...] | None, is_stated: bool, classification: Classification, withheld: Withheld | None
) -> None:
    assert Reader(scopes, is_stated).withholds(ALERT, classification, {}) == withheld


@pytest.mark.parametrize(
    ("scopes", "attributes", "withheld"),
    [
        ((["only:subject=P-1"],), {"subject": "P-1"}, None),
        ((["only:subject=P-1"],), {"subject": "P-11"}, "right"),
        ((["only:subject=P-1*"],), {"subject": "P-11"}, None),
        ((["only:subject=P-1", "only:subject=P-2"],), {"subject": "P-2"}, None),
        ((["only:subject=P-1*", "only:region=3301*"],), {"subject": "P-1", "region": "330106"}, None),
        ((["only:subject=P-1*", "only:region=3301*"],), {"subject": "P-1", "region": "330206"}, "right"),
        # Where nothing is said, nothing is shown.
        ((["only:region=*"],), {"subject": "P-1"}, "right"),
        # Only the first equals sign divides, and values are compared as headers write them.
        ((["only:subject=a=b"],), {"subject": "a=b"}, None),
        ((["only:urgent=true", "only:level=3"],), {"urgent": True, "level": 3}, None),
        ((["only:region=杭州*"],), {"region": "杭州市"}, None),
        # The token may narrow what its partner has, and never widen it.
        (([], ["only:subject=P-1"]), {"subject": "P-2"}, "right"),
        ((["only:subject=P-1"], ["only:subject=P-*"]), {"subject": "P-2"}, "right"),
    ],
)
def test_rows_are_narrowed_by_any_attribute(
    scopes: tuple[list[str], ...], attributes: dict[str, object], withheld: Withheld | None
) -> None:
    reader = Reader(tuple([*own, "subscribe:*"] for own in scopes), is_stated=True)
    assert reader.withholds(ALERT, "public", attributes) == withheld
    assert reader.is_limited
