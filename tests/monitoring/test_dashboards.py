"""Dashboards: fresh, whole, described, and every query answers."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from gateway.console.pages.frame import PAGES
from monitoring.dashboards import DASHBOARDS
from monitoring.dashboards.built import CONSOLE_SQL, as_json, parsed
from monitoring.dashboards.declared import COLUMNS, GRID, Dashboard, Panel, Prom, Sql
from tests.monitoring.grafana import promql_of, read, sql_of
from tests.monitoring.promtool import ROOT, run_promtool
from tests.monitoring.series import catalogue, names_in

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]
SUBJECT = "P-2"  # has both events and refusals


def _queries(kind: type) -> list[Any]:
    return [
        pytest.param(dashboard, query, id=f"{dashboard.uid} {panel.title.en}")
        for dashboard, panel in PANELS
        for query in panel.queries
        if isinstance(query, kind)
    ]


def test_the_committed_files_are_fresh() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "monitoring.dashboards", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_the_sdk_reads_back_the_same(dashboard: Dashboard) -> None:
    """A field that the schema does not know would be lost on the way."""
    written = json.loads(as_json(dashboard))
    back = parsed(as_json(dashboard))
    # What a data source's own query has is no part of the schema: the SDK keeps those of the sources that it knows.
    for panel in (*written["panels"], *back["panels"]):
        panel.pop("targets", None)
    assert back == written


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=lambda part: getattr(part, "uid", None) or part.title.en)
def test_every_panel_has_a_unit_two_titles_and_a_description(dashboard: Dashboard, panel: Panel) -> None:
    [made] = [
        part for part in json.loads(as_json(dashboard))["panels"] if part["title"] == str(panel.title) and part["type"] != "row"
    ]
    assert made["fieldConfig"]["defaults"]["unit"]
    assert made["description"] == f"{panel.meaning.zh}\n\n{panel.meaning.en}"
    assert all(part.strip() for part in (*panel.title, *panel.meaning))
    assert len(made["targets"]) == len(panel.queries)
    assert made["datasource"]["uid"] == ("prometheus" if isinstance(panel.queries[0], Prom) else "postgres")


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_panels_do_not_overlap_and_fit(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(as_json(dashboard))["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= GRID
        assert not cells & taken, panel["title"]
        taken |= cells


def test_dashboards_use_the_provisioned_sources() -> None:
    file = ROOT / "monitoring" / "grafana" / "provisioning" / "datasources" / "dujiang.yml"
    sources = {source["uid"]: source["type"] for source in yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]}
    written = [json.loads(as_json(dashboard)) for dashboard in DASHBOARDS]
    used = {(p["datasource"]["uid"], p["datasource"]["type"]) for d in written for p in d["panels"] if "datasource" in p}
    assert used == set(sources.items())


def test_a_table_leads_from_an_entity_to_its_story() -> None:
    written = json.loads(as_json(next(dashboard for dashboard in DASHBOARDS if dashboard.uid == "dujiang-projects")))
    links = [
        (override["matcher"]["options"], link["url"])
        for panel in written["panels"]
        for override in panel.get("fieldConfig", {}).get("overrides", [])
        for part in override["properties"]
        if part["id"] == "links"
        for link in part["value"]
    ]
    assert ("project_id", "/d/dujiang-story?var-subject=${__value.raw:percentencode}") in links
    assert ("project_id", "${console:raw}/projects/${__value.raw:percentencode}") in links


def test_links_to_the_console_name_pages_that_it_has() -> None:
    text = "".join(as_json(dashboard) for dashboard in DASHBOARDS)
    named = set(re.findall(r"\$\{console:raw\}/([a-z]*)", text))
    assert named <= {path for _, path in PAGES} | {"search"}
    assert {"", "projects", "calls", "alerts", "quarantine", "way", "partners", "subscriptions"} <= named


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_every_dashboard_leads_to_the_console(dashboard: Dashboard) -> None:
    written = json.loads(as_json(dashboard))
    assert "${console:raw}/" in [link.get("url") for link in written["links"]]
    [variable] = [one for one in written["templating"]["list"] if one["name"] == "console"]
    assert (variable["datasource"]["uid"], variable["query"], variable["hide"]) == ("postgres", CONSOLE_SQL, 2)


@pytest.mark.services
def test_the_console_s_address_is_a_setting_of_the_reading_role(reader: psycopg.Connection[Any]) -> None:
    assert read(reader, CONSOLE_SQL) == [{"console": "http://127.0.0.1:8690/console"}]
    with reader.cursor() as cursor:
        cursor.execute("SELECT set_config('dujiang.console_url', 'https://console.example.cn', false)")
    try:
        assert read(reader, CONSOLE_SQL) == [{"console": "https://console.example.cn/console"}]
    finally:
        with reader.cursor() as cursor:
            cursor.execute("RESET dujiang.console_url")
    assert read(reader, CONSOLE_SQL) == [{"console": "http://127.0.0.1:8690/console"}]


def test_dashboards_and_rules_read_what_is_counted_and_leave_nothing_out(rules: list[dict[str, Any]]) -> None:
    recorded = {rule["record"] for rule in rules if "record" in rule}
    queries = [query.text for _, panel in PANELS for query in panel.queries if isinstance(query, Prom)]
    used = {name for text in (*queries, *(rule["expr"] for rule in rules)) for name in names_in(text)}
    assert used == catalogue().keys() | recorded


def test_every_query_is_promql(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"panel_{number}", "expr": promql_of(query)}
        for number, query in enumerate(query for _, panel in PANELS for query in panel.queries if isinstance(query, Prom))
    ]
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    status, said = run_promtool("check", "rules", str(path))
    assert status == 0, said


@pytest.mark.services
@pytest.mark.parametrize(("dashboard", "query"), _queries(Sql))
def test_every_sql_answers_the_reader_with_rows(reader: psycopg.Connection[Any], dashboard: Dashboard, query: Sql) -> None:
    assert read(reader, sql_of(query, dashboard, subject=SUBJECT))


@pytest.mark.services
@pytest.mark.parametrize(("dashboard", "query"), _queries(Sql))
def test_a_search_that_finds_nothing_is_no_fault(reader: psycopg.Connection[Any], dashboard: Dashboard, query: Sql) -> None:
    found = read(reader, sql_of(query, dashboard, subject="nobody", search="no such thing"))
    assert found == [] or ":sqlstring" not in query.text


@pytest.mark.services
def test_every_column_of_a_table_has_a_name_in_both_languages(reader: psycopg.Connection[Any]) -> None:
    for dashboard, panel in PANELS:
        if panel.kind == "table":
            [query] = panel.queries
            assert isinstance(query, Sql)
            columns = read(reader, sql_of(query, dashboard, subject=SUBJECT))[0].keys()
            assert columns - COLUMNS.keys() == set(), panel.title
