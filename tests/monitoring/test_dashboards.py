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
from monitoring.dashboards.declared import (
    ALL,
    COLUMNS,
    EVERYTHING,
    GRID,
    Dashboard,
    Panel,
    Prom,
    Sql,
    Variable,
    of_partner,
)
from tests.monitoring.grafana import promql_of, read, sql_of
from tests.monitoring.promtool import ROOT, run_promtool
from tests.monitoring.series import catalogue, names_in

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels]
SUBJECT = "P-2"  # has both events and refusals
VARIABLES = list({variable for dashboard in DASHBOARDS for variable in dashboard.variables if variable.values})
VARIABLES.sort(key=lambda variable: variable.name)
VALUES = {  # one of each that the seeded bureau has
    "monitor": "mon",
    "partner": "late",
    "programme": "Water",
    "severity": "critical",
    "step": "projects",
    "topic": "research.project.event",
}


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
    assert named <= {path for _, path in PAGES} | {"search", "problems"}
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
        {"record": f"panel_{number}", "expr": promql_of(query, **values)}
        for number, (query, values) in enumerate(
            (query, values)
            for _, panel in PANELS
            for query in panel.queries
            if isinstance(query, Prom)
            for values in ({}, VALUES)
        )
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
    assert found == [] or not re.search(r"\{(search|subject):", query.text)


@pytest.mark.services
@pytest.mark.parametrize(("dashboard", "query"), _queries(Sql))
def test_some_value_of_each_variable_leaves_rows_and_one_that_nothing_has_leaves_none(
    reader: psycopg.Connection[Any], dashboard: Dashboard, query: Sql
) -> None:
    for variable in _chosen_in(dashboard, query.text):
        values = [row["__value"] for row in read(reader, variable.choices.text) if row["__value"] != ALL]
        found = [read(reader, sql_of(query, dashboard, subject=SUBJECT, **{variable.name: value})) for value in values]
        assert [rows for rows in found if rows and any(rows[0].values())]
        left = read(reader, sql_of(query, dashboard, subject=SUBJECT, **{variable.name: "no such thing"}))
        assert [row for row in left if any(row.values())] == []  # what sums up nothing is 0 or null


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_a_dashboard_has_the_variables_that_its_panels_ask_for(dashboard: Dashboard) -> None:
    asked_for = {
        name
        for panel in dashboard.panels
        for query in panel.queries
        for name in re.findall(r"\$\{?(\w+)", query.text.replace("$__", ""))
    }
    assert asked_for == {variable.name for variable in dashboard.variables}


@pytest.mark.parametrize(("dashboard", "query"), [*_queries(Sql), *_queries(Prom)])
def test_panels_are_narrowed_by_what_they_show(dashboard: Dashboard, query: Sql | Prom) -> None:
    """A column or label that a variable of the dashboard is named after, and that is not compared with it, was forgotten."""
    shown = set(re.findall(r"\w+", query.text)) & {variable.name for variable in dashboard.variables if variable.values}
    assert shown == {variable.name for variable in _chosen_in(dashboard, query.text)} & shown


def _chosen_in(dashboard: Dashboard, text: str) -> list[Variable]:
    """The dashboard's variables with values that a query compares with."""
    names = set(re.findall(r"\$\{?(\w+)", text))
    return [variable for variable in dashboard.variables if variable.values and variable.name in names]


@pytest.mark.services
@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_a_variable_begins_with_all_and_lists_what_there_is(reader: psycopg.Connection[Any], variable: Variable) -> None:
    everything, *values = read(reader, variable.choices.text)
    assert everything == {"__text": EVERYTHING, "__value": ALL}
    assert {"__text": VALUES[variable.name], "__value": VALUES[variable.name]} in values
    assert all(value["__text"] == value["__value"] for value in values)
    assert [value["__value"] for value in values] == sorted({value["__value"] for value in values})


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_grafana_shows_all_until_somebody_chooses(variable: Variable) -> None:
    for dashboard in DASHBOARDS:
        for made in json.loads(as_json(dashboard))["templating"]["list"]:
            if made["name"] == variable.name:
                assert (made["type"], made["datasource"]["uid"]) == ("query", "postgres")
                assert (made["query"], made["current"]["value"]) == (variable.choices.text, ALL)


@pytest.mark.services
def test_a_source_below_a_partner_s_is_the_partner_s_and_one_beside_it_is_not(reader: psycopg.Connection[Any]) -> None:
    sources = ["/partners/late", "/partners/late/x", "/partners/late/lab/ours/1", "/partners/later", "/partners/late/lab/1"]
    given = "(VALUES ('late', ARRAY['/partners/late', '/partners/late/lab/ours']), ('lab', ARRAY['/partners/late/lab']))"
    for partner, own in (("late", sources[:3]), ("lab", sources[4:])):
        condition = of_partner("source").replace("${partner:sqlstring}", f"'{partner}'")
        register = f"WITH v_partner (partner, sources) AS {given}"
        found = read(reader, f"{register} SELECT source FROM unnest(ARRAY{sources}) source WHERE {condition}")  # noqa: S608
        assert [row["source"] for row in found] == own


@pytest.mark.services
def test_every_column_of_a_table_has_a_name_in_both_languages(reader: psycopg.Connection[Any]) -> None:
    for dashboard, panel in PANELS:
        if panel.kind == "table":
            [query] = panel.queries
            assert isinstance(query, Sql)
            columns = read(reader, sql_of(query, dashboard, subject=SUBJECT))[0].keys()
            assert columns - COLUMNS.keys() == set(), panel.title
