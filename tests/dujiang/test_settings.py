"""What settings take from the environment, and what they say of a wrong value."""

from pathlib import Path

import pytest

from dujiang.settings import SettingsError, load


@pytest.fixture
def set_as(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Where no `dujiang.yaml` is."""
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_partners_may_set_the_region_unless_the_operator_says_otherwise(set_as: pytest.MonkeyPatch) -> None:
    assert load().gateway.extensions == ["region"]
    set_as.setenv("DUJIANG_GATEWAY__EXTENSIONS", '["region", "river"]')
    assert load().gateway.extensions == ["region", "river"]


@pytest.mark.parametrize("name", ["Region", "river-basin", "subject", "data", "", "x" * 21])
def test_name_that_no_extension_can_have_is_refused_at_start(set_as: pytest.MonkeyPatch, name: str) -> None:
    set_as.setenv("DUJIANG_GATEWAY__EXTENSIONS", f'["{name}"]')
    with pytest.raises(SettingsError, match=r"gateway\.extensions\.0: .* no attribute of CloudEvents' own"):
        load()
