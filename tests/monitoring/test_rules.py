"""The rules of Prometheus: each alert fires when it should, is silent when it should, and leads to a page that helps."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from gateway.hearing import GRACE
from tests.monitoring.promtool import ROOT, run_promtool
from tests.monitoring.series import catalogue, names_in

Series = dict[str, str]


class Case(NamedTuple):
    """Input that must raise the alert with these labels at this time, and input near to it that must not."""

    alert: str
    labels: dict[str, str]
    at: str
    firing: Series
    silent: Series


STEP = {"step": "projects"}
_LAG = 'dujiang_lag_records{step="projects",topic="t",partition="0"}'
_COMMIT = 'dujiang_last_commit_timestamp_seconds{step="projects"}'
_FAULTS = 'dujiang_faults_total{{step="projects",kind="{}"}}'
_SERVERS = 'dujiang_{}{{instance="{}"}}'
_REFUSED = 'dujiang_gateway_refused_events_total{{reason="{}"}}'


def _delays(name: str, labels: str, bound: str, fast: str, total: str) -> Series:
    """A histogram of two buckets: up to `bound`, and longer than it."""
    return {
        f'{name}_bucket{{{labels}le="{bound}"}}': fast,
        f'{name}_bucket{{{labels}le="604800.0"}}': total,
        f'{name}_bucket{{{labels}le="+Inf"}}': total,
        f"{name}_count{{{labels.rstrip(',')}}}": total,
    }


def _arrivals(bound: str, fast: str, total: str) -> Series:
    return _delays("dujiang_arrival_delay_seconds", 'step="projects",', bound, fast, total)


def _publishing(bound: str, fast: str, total: str) -> Series:
    return _delays("dujiang_gateway_publish_seconds", "", bound, fast, total)


def _connections(used: str, allowed: str) -> Series:
    return {
        _SERVERS.format("postgresql_connections", "a"): used,
        _SERVERS.format("postgresql_connections_allowed", "a"): allowed,
    }


def _deliveries(bound: str, fast: str, total: str) -> Series:
    return _delays("dujiang_delivery_delay_seconds", 'job="deliverer",', bound, fast, total)


def _ages(fresh: str, total: str) -> Series:
    """Of a partner whose events are stale, beside one whose are not."""
    stale = _delays("dujiang_gateway_event_age_seconds", 'partner="a",', "86400.0", fresh, total)
    return stale | _delays("dujiang_gateway_event_age_seconds", 'partner="b",', "86400.0", total, total)


def _own_topic(fresh: str, total: str) -> Series:
    """Of the stale partner's own topics, alike; each has a connector."""
    return _delays("dujiang_connector_event_age_seconds", 'partner="a",topic="t",', "86400.0", fresh, total) | _delays(
        "dujiang_connector_event_age_seconds", 'partner="a",topic="u",', "86400.0", fresh, total
    )


def _rhythm(partner: str, promised_s: int, heard_s: str, gateway: str = "one") -> Series:
    """What a gateway says of a partner's promise."""
    labels = f'{{partner="{partner}",instance="{gateway}"}}'
    return {
        f"dujiang_partner_heard_timestamp_seconds{labels}": heard_s,
        f"dujiang_partner_promised_seconds{labels}": f"{promised_s}x70",
    }


def _copy(true_at: str, took: str) -> Series:
    """A reading copy: until when it is true, and how long its passes take."""
    return {
        'dujiang_reading_copy_timestamp_seconds{copy="project"}': true_at,
        'dujiang_reading_copy_pass_seconds{copy="project"}': took,
    }


def _overdue(severity: str, alerts: str, worker: str = "a") -> Series:
    """Alerts that nobody took in time."""
    return {f'dujiang_alerts_overdue{{severity="{severity}",instance="{worker}"}}': alerts}


THEIRS = {"partner": "institute-7", "topic": "t"}
_THEIR = 'dujiang_connector_{}{{partner="institute-7",topic="t"{}}}'
_UP = 'dujiang_dependency_up{{job="{}",instance="{}",dependency="{}"}}'
_FAILED = 'dujiang_dependency_failures_total{{job="{}",instance="{}",dependency="{}"}}'
DELIVERER = {"job": "deliverer"}
_GIVEN_UP = 'dujiang_delivery_dead_letters_total{job="deliverer",reason="exhausted"}'
CASES = [
    Case("DujiangWorkerAway", {"job": "worker"}, "3m", {"other": "1x5"}, {'up{job="worker"}': "1x5"}),
    Case(
        "DujiangWorkerAway",
        {"job": "worker", "instance": "a"},
        "3m",
        {'up{job="worker",instance="a"}': "0x5", 'up{job="worker",instance="b"}': "1x5"},
        {'up{job="worker",instance="a"}': "0 1 1 1", 'up{job="worker",instance="b"}': "1x5"},
    ),
    Case("DujiangNoCommits", STEP, "5m", {_LAG: "7x9", _COMMIT: "10x9"}, {_LAG: "7x9", _COMMIT: "0+60x9"}),
    Case("DujiangNoCommits", STEP, "5m", {_LAG: "7x9"}, {_LAG: "0x9", _COMMIT: "10x9"}),
    Case(
        "DujiangLagGrowing",
        {**STEP, "topic": "t"},
        "25m",
        {_LAG: "11000+10x30"},
        {_LAG: "40000-1000x29"},
    ),
    Case("DujiangDelayHigh", STEP, "20m", _arrivals("30", "0+90x20", "0+100x20"), _arrivals("30", "0+99x20", "0+100x20")),
    Case(
        "DujiangEnvironmentFault",
        STEP,
        "5m",
        {_FAULTS.format("environment"): "0+9x5"},
        {_FAULTS.format("environment"): "9x5", _FAULTS.format("transient"): "0+9x5"},
    ),
    Case(
        "DujiangTransientFaults",
        STEP,
        "20m",
        {_FAULTS.format("transient"): "0+9x20"},
        {_FAULTS.format("transient"): "0+9x5 45x15"},
    ),
    Case(
        "DujiangFencedAgain",
        STEP,
        "15m",
        {_FAULTS.format("fenced"): "0+1x15"},
        {_FAULTS.format("fenced"): "0x10 2x5"},
    ),
    Case(
        "DujiangTimersLate",
        STEP,
        "9m",
        {'dujiang_timers_overdue{step="projects"}': "3x9"},
        {'dujiang_timers_overdue{step="projects"}': "3x6 0x3"},
    ),
    Case(
        "DujiangLedgerUnbalanced",
        {**STEP, "topic": "t"},
        "3m",
        {'dujiang_ledger_unbalanced_records{step="projects",topic="t"}': "-1x3"},
        {'dujiang_ledger_unbalanced_records{step="projects",topic="t"}': "0x3"},
    ),
    Case(
        "DujiangBreakerOpen",
        {**STEP, "topic": "t", "partition": "0"},
        "3m",
        {'dujiang_breaker_open{step="projects",topic="t",partition="0"}': "1x3"},
        {'dujiang_breaker_open{step="projects",topic="t",partition="0"}': "1 0x3"},
    ),
    Case(
        "DujiangQuarantineGrowing",
        {**STEP, "reason": "data_invalid"},
        "20m",
        {'dujiang_quarantined_total{step="projects",reason="data_invalid"}': "5+1x20"},
        {'dujiang_quarantined_total{step="projects",reason="data_invalid"}': "500x10 505x10"},
    ),
    Case(
        "DujiangQuarantineGrowing",
        {**STEP, "reason": "data_invalid"},
        "20m",
        {'dujiang_quarantined_total{step="projects",reason="data_invalid"}': "_x14 30x5"},
        {'dujiang_quarantined_total{step="projects",reason="data_invalid"}': "_x14 3x5"},
    ),
    Case(
        "DujiangDelivererAway",
        {"job": "deliverer"},
        "3m",
        {'up{job="deliverer"}': "0x3"},
        {'up{job="deliverer"}': "0 1x3"},
    ),
    Case(
        "DujiangEndpointsDown",
        {},
        "70m",
        {"dujiang_delivery_circuits_open": "1x70"},
        {"dujiang_delivery_circuits_open": "1x50 0x5 1x20"},
    ),
    Case(
        "DujiangDeadLetters",
        {"reason": "exhausted"},
        "20m",
        {'dujiang_delivery_dead_letters_total{reason="exhausted"}': "2x15 3x10"},
        {'dujiang_delivery_dead_letters_total{reason="exhausted"}': "2 3x30"},
    ),
    Case(  # one of two workers is enough
        "DujiangDatabaseAway",
        {"job": "worker"},
        "6m",
        {
            _UP.format("worker", "a", "postgresql"): "1 0x6",
            _UP.format("worker", "b", "postgresql"): "1x7",
            _FAILED.format("worker", "a", "postgresql"): "0+9x7",
        },
        {_UP.format("worker", "a", "postgresql"): "1x7", _FAILED.format("worker", "a", "postgresql"): "0+9x7"},
    ),
    Case(  # a gateway that nobody asks anything of since
        "DujiangDatabaseAway",
        {"job": "gateway"},
        "9m",
        {_UP.format("gateway", "a", "postgresql"): "0x9", _FAILED.format("gateway", "a", "postgresql"): "0+1x9"},
        {_UP.format("gateway", "a", "postgresql"): "0x9", _FAILED.format("gateway", "a", "postgresql"): "1x9"},
    ),
    Case(
        "DujiangKafkaAway",
        {"job": "worker"},
        "6m",
        {_UP.format("worker", "a", "kafka"): "1 0x6", _FAILED.format("worker", "a", "kafka"): "0+12x7"},
        {_UP.format("worker", "a", "postgresql"): "1 0x6", _FAILED.format("worker", "a", "postgresql"): "0+12x7"},
    ),
    Case(  # as two workers tell it; one was asked before somebody acknowledged the high one
        "DujiangAlertsOverdue",
        {},
        "3m",
        _overdue("critical", "0 1x3") | _overdue("high", "0 0x3") | _overdue("high", "0 1x3", "b"),
        _overdue("critical", "1 0x3") | _overdue("high", "0x4"),
    ),
    Case("DujiangReadingCopyOld", {"copy": "project"}, "25m", _copy("0x25", "2x25"), _copy("0+60x25", "2x25")),
    Case("DujiangReadingCopyOld", {"copy": "project"}, "25m", _copy("0x25", "2x25"), _copy("0x25", "400x25")),  # it rests
    Case(  # as two workers tell it
        "DujiangPartitionsOffline",
        {},
        "3m",
        {_SERVERS.format("kafka_offline_partitions", "a"): "0x4", _SERVERS.format("kafka_offline_partitions", "b"): "2x4"},
        {_SERVERS.format("kafka_offline_partitions", "a"): "2 0x4"},  # while leaders are elected
    ),
    Case(
        "DujiangPartitionsUnderReplicated",
        {},
        "14m",
        {_SERVERS.format("kafka_under_replicated_partitions", "a"): "1x14"},
        {_SERVERS.format("kafka_under_replicated_partitions", "a"): "1x8 0x6"},  # a broker was restarted
    ),
    Case("DujiangConnectionsNearLimit", {}, "8m", _connections("86x8", "100x8"), _connections("84x8", "100x8")),
    Case(
        "DujiangTransactionOpen",
        {},
        "20m",
        {_SERVERS.format("postgresql_longest_transaction_seconds", "a"): "0+60x20"},
        {_SERVERS.format("postgresql_longest_transaction_seconds", "a"): "0+60x14 0x6"},
    ),
    Case(
        "DujiangConnectorAway",
        {"job": "connector", "instance": "a"},
        "9m",
        {'up{job="connector",instance="a"}': "1 0x9", 'up{job="connector",instance="b"}': "1x9"},
        {'up{job="worker",instance="a"}': "1x9"},  # nobody runs one
    ),
    Case(  # its container is gone, and its name with it
        "DujiangConnectorAway",
        {"job": "connector"},
        "9m",
        {'up{job="connector",instance="a"}': "1x2 stale"},
        {'up{job="connector",instance="a"}': "1x2 stale", 'up{job="connector",instance="b"}': "_x2 1x9"},
    ),
    Case(
        "DujiangConnectorFaults",
        {**THEIRS, "kind": "environment"},
        "20m",
        {_THEIR.format("faults_total", ',kind="environment"'): "0+4x20"},
        {_THEIR.format("faults_total", ',kind="environment"'): "0+4x5 20x15"},
    ),
    Case(
        "DujiangConnectorBehind",
        THEIRS,
        "30m",
        {_THEIR.format("lag_records", ""): "2000x30"},
        {_THEIR.format("lag_records", ""): "90000-1000x30"},
    ),
    Case(
        "DujiangConnectorRefusalsHigh",
        THEIRS,
        "40m",
        {
            _THEIR.format("published_records_total", ""): "0+70x40",
            _THEIR.format("refused_records_total", ',reason="data_invalid"'): "0+30x40",
        },
        {
            _THEIR.format("published_records_total", ""): "0+90x40",
            _THEIR.format("refused_records_total", ',reason="data_invalid"'): "0+10x40",
        },
    ),
    Case(  # the first of its reason
        "DujiangMonitorRefused",
        {"reason": "starts_at_invalid"},
        "20m",
        {'dujiang_alertmanager_refused_alerts_total{reason="starts_at_invalid"}': "_x14 1x5"},
        {'dujiang_alertmanager_refused_alerts_total{reason="starts_at_invalid"}': "1x20"},
    ),
    Case(
        "DujiangMonitorRefused",
        {"reason": "body_too_large"},
        "20m",
        {'dujiang_alertmanager_refused_bodies_total{reason="body_too_large"}': "1x9 2x20"},
        {'dujiang_alertmanager_refused_bodies_total{reason="unavailable"}': "1x9 2x20"},
    ),
    Case("DujiangGatewayAway", {"job": "gateway"}, "3m", {'up{job="gateway"}': "0x3"}, {'up{job="gateway"}': "0 1x3"}),
    Case(  # the agent is away, and its last word was good
        "DujiangGatewayAway",
        {"job": "gateway"},
        "9m",
        {'up{job="gateway"}': "1x2 stale"},
        {'up{job="gateway"}': "1x9"},
    ),
    Case("DujiangDelivererAway", {"job": "deliverer"}, "3m", {'up{job="worker"}': "1x3"}, {'up{job="deliverer"}': "1x3"}),
    Case(
        "DujiangBrokerAway",
        {},
        "5m",
        {_REFUSED.format("not_confirmed"): "0+5x5"},
        {_REFUSED.format("not_confirmed"): "5x5", _REFUSED.format("contract_broken"): "0+5x5"},
    ),
    Case(
        "DujiangGatewayErrors",
        {"reason": "overloaded"},
        "12m",
        {_REFUSED.format("overloaded"): "0+5x12"},
        {_REFUSED.format("contract_broken"): "0+5x12"},
    ),
    Case(
        "DujiangRefusalsHigh",
        {},
        "40m",
        {"dujiang_gateway_accepted_events_total": "0+70x40", _REFUSED.format("contract_broken"): "0+30x40"},
        {"dujiang_gateway_accepted_events_total": "0+90x40", _REFUSED.format("contract_broken"): "0+10x40"},
    ),
    Case(  # of two gateways one has not seen the database for a while; "b" is heard of by the other
        "DujiangPartnerSilent",
        {"partner": "a"},
        "68m",
        _rhythm("a", 3_600, "0x70") | _rhythm("b", 3_600, "0x70") | _rhythm("b", 3_600, "0x29 1800x40", "other"),
        _rhythm("a", 3_600, "0x66 3960x4") | _rhythm("b", 86_400, "0x70"),  # a comes six minutes late
    ),
    Case("DujiangPublishSlow", {}, "20m", _publishing("1.0", "0+90x20", "0+100x20"), _publishing("1.0", "0+99x20", "0+100x20")),
    # Our own histogram writes le="5"; Prometheus 3 stores "5.0".
    Case(
        "DujiangDelayBudgetBurnsFast",
        STEP,
        "70m",
        _arrivals("5", "0+80x70", "0+100x70"),
        _arrivals("5", "0+90x70", "0+100x70"),
    ),
    Case(
        "DujiangDelayBudgetBurnsFast",
        STEP,
        "70m",
        _arrivals("5.0", "0+80x70", "0+100x70"),
        _arrivals("5.0", "0+80x60 4800+100x10", "0+100x70"),  # it was bad and is over
    ),
    Case(  # it stands still while records wait: none of them is in any share
        "DujiangDelayBudgetBurnsFast",
        STEP,
        "20m",
        {_LAG: "7x20", _COMMIT: "0+60x5 300x15"},
        {_LAG: "7x20", _COMMIT: "0+60x20"},
    ),
    Case(  # it has never committed; or it has nothing to commit
        "DujiangDelayBudgetBurnsFast",
        STEP,
        "20m",
        {_LAG: "7x20"},
        {_LAG: "0x20", _COMMIT: "10x20"},
    ),
    Case(
        "DujiangDelayBudgetBurns",
        STEP,
        "400m",
        {_LAG: "7x400", _COMMIT: "0+60x360 21600x40"},
        {_LAG: "7x400", _COMMIT: "0+60x392 23520x8"},
    ),
    Case(
        "DujiangDelayBudgetBurns",
        STEP,
        "400m",
        _arrivals("5", "0+90x400", "0+100x400"),
        _arrivals("5", "0+98x400", "0+100x400"),
    ),
    Case(
        "DujiangDeliveryBudgetBurnsFast",
        DELIVERER,
        "70m",
        _deliveries("60", "0+80x70", "0+100x70"),
        _deliveries("60.0", "0+80x60 4800+100x10", "0+100x70"),  # it was bad and is over
    ),
    Case(  # nothing late, and one in five given up
        "DujiangDeliveryBudgetBurnsFast",
        DELIVERER,
        "70m",
        _deliveries("60.0", "0+80x70", "0+80x70") | {_GIVEN_UP: "0+20x70"},
        _deliveries("60.0", "0+80x70", "0+80x70") | {_GIVEN_UP: "0+5x70"},
    ),
    Case(
        "DujiangDeliveryBudgetBurns",
        DELIVERER,
        "400m",
        _deliveries("60", "0+90x400", "0+100x400"),
        _deliveries("60", "0+98x400", "0+100x400"),
    ),
    Case(
        "DujiangFreshnessBudgetBurnsFast",
        {"partner": "a"},
        "400m",
        _ages("0+60x400", "0+100x400"),
        _ages("0+60x360 21600+100x40", "0+100x400"),
    ),
    Case(  # it publishes into topics of its own alone
        "DujiangFreshnessBudgetBurnsFast",
        {"partner": "a"},
        "400m",
        _own_topic("0+60x400", "0+100x400"),
        _own_topic("0+60x360 21600+100x40", "0+100x400"),
    ),
    Case(  # 35% by both ways together, and 20%; by the gateway's word alone it would be the other way round
        "DujiangFreshnessBudgetBurnsFast",
        {"partner": "a"},
        "400m",
        _ages("0+80x400", "0+80x400") | _own_topic("0+25x400", "0+60x400"),
        _ages("0+20x400", "0+40x400") | _own_topic("0+70x400", "0+80x400"),
    ),
    Case(
        "DujiangFreshnessBudgetBurns",
        {"partner": "a"},
        "480m",
        _ages("0+90x480", "0+100x480"),
        _ages("0+96x480", "0+100x480"),
    ),
    Case(
        "DujiangFreshnessBudgetBurns",
        {"partner": "a"},
        "480m",
        _own_topic("0+90x480", "0+100x480"),
        _own_topic("0+96x480", "0+100x480"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
@pytest.mark.parametrize("fires", [True, False], ids=["fires", "silent"])
def test_each_alert_fires_when_it_should_and_only_then(
    promtool: str, rule_files: list[Path], rules: list[dict[str, Any]], case: Case, fires: bool, tmp_path: Path
) -> None:
    [rule] = [rule for rule in rules if rule.get("alert") == case.alert]
    labels = {**case.labels, **rule["labels"]}
    expected = [{"exp_labels": labels, "exp_annotations": _annotations(rule, case.labels)}] if fires else []
    suite = {
        "rule_files": [str(path) for path in rule_files],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "external_labels": {"docs": "docs"},
                "input_series": [
                    {"series": name, "values": values} for name, values in (case.firing if fires else case.silent).items()
                ],
                "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": expected}],
            }
        ],
    }
    path = tmp_path / "case.yml"
    path.write_text(yaml.safe_dump(suite, allow_unicode=True), encoding="utf-8")
    status, said = run_promtool("test", "rules", str(path))
    assert status == 0, said


def _annotations(rule: dict[str, Any], labels: dict[str, str]) -> dict[str, str]:
    """As Prometheus fills them in; a placeholder without its label stays and fails the comparison."""

    def filled(found: re.Match[str]) -> str:
        return {**labels, "docs": "docs"}.get(found[2], found[0])

    return {
        name: re.sub(r"\{\{ \$(labels|externalLabels)\.(\w+) \}\}", filled, text) for name, text in rule["annotations"].items()
    }


def test_a_silent_partner_is_one_for_the_console_and_for_the_alert(rules: list[dict[str, Any]]) -> None:
    [rule] = [rule for rule in rules if rule.get("alert") == "DujiangPartnerSilent"]
    assert f"> {GRACE} * max by (partner) (dujiang_partner_promised_seconds)" in rule["expr"]


def test_every_alert_has_a_case(rules: list[dict[str, Any]]) -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in rules if "alert" in rule}


def test_prometheus_accepts_the_rules(promtool: str, rule_files: list[Path]) -> None:
    status, said = run_promtool("check", "rules", *map(str, rule_files))
    assert status == 0, said


def test_every_alert_says_in_both_languages_what_is_wrong_and_where_to_read_on(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        if "alert" not in rule:
            continue
        annotations = rule["annotations"]
        assert set(annotations) == {"summary", "summary_zh", "description", "description_zh", "runbook_url"}, rule["alert"]
        assert re.search("[一-鿿]", annotations["summary_zh"]), rule["alert"]
        assert re.search("[一-鿿]", annotations["description_zh"]), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


def test_every_runbook_exists_names_its_alert_and_has_its_three_parts(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        if "alert" not in rule:
            continue
        page = ROOT / rule["annotations"]["runbook_url"].replace("{{ $externalLabels.docs }}", "docs")
        text = page.read_text(encoding="utf-8")
        assert f"`{rule['alert']}`" in text, f"{page.name} does not name {rule['alert']}"
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["What it means", "How to look", "What to do"]


def test_rules_read_only_what_the_catalogue_or_another_rule_gives(rules: list[dict[str, Any]]) -> None:
    known = catalogue().keys() | {rule["record"] for rule in rules if "record" in rule}
    assert {name for rule in rules for name in names_in(rule["expr"])} - known == set()


def test_prometheus_is_given_the_rules_and_the_address_of_the_runbooks() -> None:
    config = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    mounted = dict(volume.split(":")[:2] for volume in compose["services"]["prometheus"]["volumes"])
    assert mounted["./monitoring/prometheus/rules"] == str(Path(config["rule_files"][0]).parent)
    assert config["global"]["external_labels"]["docs"]
