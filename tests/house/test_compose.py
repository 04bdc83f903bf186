"""docker-compose.yml: what must hold of it whoever starts it. No Docker is needed here."""

import re
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from dujiang.embedded.jars import KAFKA_VERSION
from dujiang.embedded.postgres import POSTGRES_VERSION
from dujiang.settings import Settings, variable_of

OURS = ("migrate", "worker", "gateway", "deliverer", "connector", "console")


@pytest.fixture(scope="module")
def compose(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())
    return loaded


def test_only_known_keys_are_used(compose: dict[str, Any]) -> None:
    """A mistyped key is refused by Docker, long after this test. The keys are those of the Compose Specification."""
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "volumes"}
    known = {
        *("image", "build", "command", "restart", "environment", "ports", "volumes", "healthcheck", "depends_on", "shm_size"),
        *("read_only", "tmpfs", "cap_drop", "security_opt", "network_mode", "stop_grace_period", "profiles"),
    }
    assert {key for service in compose["services"].values() for key in service} <= known


def test_every_part_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"kafka", "postgres", *OURS, "prometheus", "prometheus-host", "grafana"}


def test_services_run_the_versions_that_are_tested(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert compose["services"]["postgres"]["image"] == f"postgres:{POSTGRES_VERSION}"


def test_ports_are_published_on_the_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_secret_is_written_down(compose: dict[str, Any], root: Path) -> None:
    secrets = [
        (name, str(value))
        for service in compose["services"].values()
        for name, value in service.get("environment", {}).items()
        if "PASSWORD" in name or "DSN" in name
    ]
    assert secrets
    optional = {"DUJIANG_CONNECTORS__KAFKA_TOPIC__SASL_PASSWORD": "${CONNECTOR_SASL_PASSWORD:-}"}
    assert [(n, value) for n, value in secrets if not re.search(r"\$\{\w+:\?", value) and optional.get(n) != value] == []
    example = re.findall(r"^(\w+)=(.*)$", (root / ".env.example").read_text(), re.MULTILINE)
    needed = set(re.findall(r"\$\{(\w+)", (root / "docker-compose.yml").read_text()))
    assert {name for name, _ in example} == needed
    assert not any(value for _, value in example)


def test_volumes_are_named_or_are_files_of_this_repository(compose: dict[str, Any], root: Path) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (root / source).exists(), source
                assert volume.endswith(":ro"), volume
            else:
                assert source in compose["volumes"]


def test_what_runs_on_is_watched_and_comes_back(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name == "migrate":
            assert (service["restart"], service["healthcheck"]) == ("no", {"disable": True})
            continue
        assert service["restart"] == "unless-stopped"
        assert "healthcheck" in service or name == "worker", name  # the worker's stands in the Dockerfile


def test_each_waits_for_what_it_needs(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if needed == "migrate" else "service_healthy"
            assert how == {"condition": wanted}


def test_our_containers_have_no_rights_beyond_their_work(compose: dict[str, Any]) -> None:
    for name in OURS:
        service = compose["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_our_variables_are_settings(compose: dict[str, Any]) -> None:
    known = set(_variables(Settings))
    for name in OURS:
        assert set(compose["services"][name]["environment"]) <= known


def test_the_gateway_shares_the_loopback_of_the_machine(compose: dict[str, Any]) -> None:
    """It listens on loopback only, so neither a published port nor another container can reach it."""
    gateway = compose["services"]["gateway"]
    assert gateway["network_mode"] == "host"
    assert "ports" not in gateway
    assert (
        str(Settings.model_fields["gateway"].get_default(call_default_factory=True).port) in gateway["healthcheck"]["test"][-1]
    )


def _variables(group: Any, within: str = "") -> Iterator[str]:
    """Of all settings of a group and the groups in it."""
    for name, field in getattr(group, "model_fields", {}).items():
        yield variable_of(within + name)
        yield from _variables(field.annotation, f"{within}{name}.")


def test_partners_topic_is_carried_only_where_somebody_wants_it(compose: dict[str, Any]) -> None:
    assert {name: service["profiles"] for name, service in compose["services"].items() if "profiles" in service} == {
        "connector": ["connector"]
    }


@pytest.mark.parametrize(
    ("service", "group"), [("worker", "worker"), ("deliverer", "deliver"), ("connector", "connectors.kafka_topic")]
)
def test_prometheus_asks_where_metrics_are_served(root: Path, compose: dict[str, Any], service: str, group: str) -> None:
    config = yaml.safe_load((root / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    [job] = [job for job in config["scrape_configs"] if job["job_name"] == service]
    [found] = job["dns_sd_configs"]
    assert (found["names"], found["port"]) == ([service], attrgetter(f"{group}.http_port")(Settings()))
    assert compose["services"][service]["environment"][variable_of(f"{group}.http_host")] == "0.0.0.0"


def test_grafana_is_given_its_sources_and_its_folder(root: Path, compose: dict[str, Any]) -> None:
    folder = root / "monitoring" / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "dujiang.yml").read_text())["datasources"]
    assert [source["type"] for source in sources] == ["prometheus", "grafana-postgresql-datasource"]
    [provider] = yaml.safe_load((folder / "dashboards" / "dujiang.yml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in compose["services"]["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
