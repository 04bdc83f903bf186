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
    set_as.setenv("DUJIANG_GATEWAY__EXTENSIONS", "river,basin")
    assert load().gateway.extensions == ["river", "basin"]


@pytest.mark.parametrize("name", ["Region", "river-basin", "subject", "data", "", "x" * 21])
def test_name_that_no_extension_can_have_is_refused_at_start(set_as: pytest.MonkeyPatch, name: str) -> None:
    set_as.setenv("DUJIANG_GATEWAY__EXTENSIONS", f'["{name}"]')
    with pytest.raises(SettingsError, match=r"gateway\.extensions\.0: .* no attribute of CloudEvents' own"):
        load()


@pytest.mark.parametrize(
    "text", ["127.0.0.1/32,10.20.0.0/16", " 127.0.0.1/32 , 10.20.0.0/16,", '["127.0.0.1/32", "10.20.0.0/16"]']
)
def test_list_in_a_variable_is_parted_by_commas_or_json(set_as: pytest.MonkeyPatch, text: str) -> None:
    set_as.setenv("DUJIANG_DELIVER__NETWORKS", text)
    set_as.setenv("DUJIANG_DELIVER__PORTS", "8443")
    deliver = load().deliver
    assert (deliver.networks, deliver.ports) == (["127.0.0.1/32", "10.20.0.0/16"], [8443])


def test_empty_variable_is_an_empty_list(set_as: pytest.MonkeyPatch) -> None:
    set_as.setenv("DUJIANG_GATEWAY__EXTENSIONS", "")
    assert load().gateway.extensions == []


@pytest.mark.parametrize("text", ["127.0.0.1/32;10.0.0.0/8", '["127.0.0.1/32"'])
def test_wrong_part_of_a_list_is_blamed_on_its_variable(set_as: pytest.MonkeyPatch, text: str) -> None:
    set_as.setenv("DUJIANG_DELIVER__NETWORKS", text)
    with pytest.raises(
        SettingsError, match=r"^deliver\.networks.*; expected: private networks .* set DUJIANG_DELIVER__NETWORKS or"
    ):
        load()


def test_group_that_is_no_json_is_not_blamed_on_the_file(set_as: pytest.MonkeyPatch) -> None:
    set_as.setenv("DUJIANG_DELIVER", "{networks}")
    with pytest.raises(SettingsError, match=r'"deliver".* holds one JSON object') as refused:
        load()
    assert "dujiang.yaml" not in str(refused.value)
