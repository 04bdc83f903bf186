"""What Prometheus asks in compose is what listens there: every process with metrics, at its port."""

import re
from pathlib import Path
from typing import Any

import yaml

from dujiang.settings import Settings
from tests.monitoring.promtool import ROOT, run_promtool

FOLDER = ROOT / "monitoring" / "prometheus"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]


def _config(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return found


def _option(service: str, name: str) -> str:
    [value] = [option.partition("=")[2] for option in COMPOSE[service]["command"] if option.partition("=")[0] == name]
    return str(value)


def test_processes_of_the_compose_network_are_asked_by_name_at_the_port_of_their_settings() -> None:
    settings = Settings()
    ports = {
        "worker": settings.worker.http_port,
        "deliverer": settings.deliver.http_port,
        "connector": settings.connectors.kafka_topic.http_port,
    }
    asked = {
        (job["job_name"], *found["names"], found["port"])
        for job in _config("prometheus.yml")["scrape_configs"]
        for found in job["dns_sd_configs"]
    }
    assert asked == {(name, name, port) for name, port in ports.items()}
    for name, variable in (
        ("worker", "DUJIANG_WORKER__HTTP_HOST"),
        ("deliverer", "DUJIANG_DELIVER__HTTP_HOST"),
        ("connector", "DUJIANG_CONNECTORS__KAFKA_TOPIC__HTTP_HOST"),
    ):
        assert COMPOSE[name]["environment"][variable] == "0.0.0.0"
        assert "network_mode" not in COMPOSE[name]


def test_what_listens_on_the_machines_loopback_is_asked_from_there() -> None:
    settings = Settings()
    asked = {job["job_name"]: job["static_configs"] for job in _config("host.yml")["scrape_configs"]}
    assert asked == {
        "gateway": [{"targets": [f"{settings.gateway.host}:{settings.gateway.port}"]}],
        "console": [{"targets": [f"{settings.console.http_host}:{settings.console.http_port}"]}],
    }
    assert [COMPOSE[name]["network_mode"] for name in ("gateway", "console", "prometheus-host")] == ["host"] * 3


def test_what_the_agent_hears_goes_to_the_prometheus_that_keeps_it() -> None:
    [target] = _config("host.yml")["remote_write"]
    [published] = COMPOSE["prometheus"]["ports"]
    host, port, _ = published.split(":")
    assert target["url"] == f"http://{host}:{port}/api/v1/write"
    assert "--web.enable-remote-write-receiver" in COMPOSE["prometheus"]["command"]
    assert "--agent" in COMPOSE["prometheus-host"]["command"]
    assert _option("prometheus-host", "--web.listen-address") not in {f"{host}:{port}", "127.0.0.1:8600"}


def test_each_prometheus_is_given_the_file_that_it_is_told_to_read() -> None:
    for service in ("prometheus", "prometheus-host"):
        mounted = dict(reversed(volume.split(":")[:2]) for volume in COMPOSE[service]["volumes"])
        inside = _option(service, "--config.file")
        assert (ROOT / mounted[inside]).is_file()


def test_prometheus_accepts_both_files(promtool: str, tmp_path: Path) -> None:
    for name, options in (("prometheus.yml", ()), ("host.yml", ("--agent",))):
        text = (FOLDER / name).read_text(encoding="utf-8").replace("/etc/prometheus", str(FOLDER))
        (tmp_path / name).write_text(text, encoding="utf-8")
        status, said = run_promtool("check", "config", *options, str(tmp_path / name))
        assert status == 0, said


def test_every_job_that_an_alert_names_is_asked() -> None:
    jobs = {job["job_name"] for name in ("prometheus.yml", "host.yml") for job in _config(name)["scrape_configs"]}
    rules = [path.read_text(encoding="utf-8") for path in sorted((FOLDER / "rules").glob("*.yml"))]
    expressions = [rule["expr"] for text in rules for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    named = {job for expression in expressions for job in re.findall(r'\bjob\s*=\s*"([^"]*)"', expression)}
    assert named >= {"worker", "deliverer"}
    assert named <= jobs
    # Whatever else selects by job would have to be read here too.
    assert not [expression for expression in expressions if re.search(r"\bjob\s*(=~|!)", expression)]
