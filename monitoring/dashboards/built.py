"""Declarations into Grafana's JSON, by its own SDK: the same few functions for every dashboard. Pure."""

import json
import re
from typing import Any, Final

from grafana_foundation_sdk.builders import bargauge, common, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import BarGaugeDisplayMode, VizOrientation
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
    VariableHide,
    VariableOption,
    VariableRefresh,
)

from monitoring.dashboards.declared import ALL, COLUMNS, EVERYTHING, Column, Dashboard, Panel, Prom, Sql, Variable

TAG = "dujiang"
REFRESH_S: Final = 60  # each panel asks again
STORY_URL = "/d/dujiang-story?var-subject=${__value.raw:percentencode}"
# Where people reach the console: set at the role that Grafana reads with, since a dashboard's file is the same everywhere.
CONSOLE_SQL = (
    "SELECT coalesce(nullif(current_setting('dujiang.console_url', true), ''), 'http://127.0.0.1:8690') || '/console'"
    " AS console"
)
CONSOLE = "控制台 · Console"
# As provisioned: monitoring/grafana/provisioning/datasources/dujiang.yml.
PROMETHEUS = DataSourceRef(type_val="prometheus", uid="prometheus")
POSTGRES = DataSourceRef(type_val="grafana-postgresql-datasource", uid="postgres")

_AnyPanel = stat.Panel | timeseries.Panel | bargauge.Panel | table.Panel


class SqlQuery(Dataquery, Builder[Dataquery]):
    """The SDK knows no SQL data source; this is what Grafana's editor saves."""

    def __init__(self, text: str, ref_id: str) -> None:
        self._text = text
        self._ref_id = ref_id

    def build(self) -> Dataquery:
        """It is its own model."""
        return self

    def to_json(self) -> dict[str, object]:
        """The target of a panel."""
        return {
            "refId": self._ref_id,
            "datasource": POSTGRES,
            "editorMode": "code",
            "format": "table",
            "rawQuery": True,
            "rawSql": self._text,
        }


def as_json(declared: Dashboard) -> str:
    """The file that Grafana reads; the same declaration gives the same bytes."""
    return json.dumps(_dashboard(declared).build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _dashboard(declared: Dashboard) -> build.Dashboard:
    made = (
        build.Dashboard(str(declared.title))
        .uid(declared.uid)
        .description(f"{declared.meaning.zh}\n\n{declared.meaning.en}")
        .tags([TAG])
        .readonly()
        .time(f"now-{declared.hours}h", "now")
        .timezone("browser")
        .refresh(f"{REFRESH_S // 60}m")
        .link(
            build.DashboardLink("都江 · Dujiang")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(False)
        )
    )
    for variable in declared.variables:
        made.with_variable(_variable(variable))
    made.with_variable(_console()).link(_to_console(""))
    number = 0
    for row in declared.rows:
        made.with_row(build.Row(str(row.title)).id(number := number + 1))
        for panel in row.panels:
            made.with_panel(_panel(panel).id(number := number + 1))
    return made


def _variable(variable: Variable) -> build.TextBoxVariable | build.QueryVariable:
    if not variable.values:
        return build.TextBoxVariable(variable.name).label(str(variable.label)).default_value("")
    return (
        build.QueryVariable(variable.name)
        .label(str(variable.label))
        .datasource(POSTGRES)
        .query(variable.choices.text)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .current(VariableOption(selected=True, text=EVERYTHING, value=ALL))
    )


def _console() -> build.QueryVariable:
    """Not shown; links begin with it."""
    return (
        build.QueryVariable("console")
        .datasource(POSTGRES)
        .query(CONSOLE_SQL)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .hide(VariableHide.HIDE_VARIABLE)
    )


def _to_console(page: str) -> build.DashboardLink:
    return build.DashboardLink(CONSOLE).type(DashboardLinkType.LINK).url(f"${{console:raw}}/{page}").target_blank(True)


def _panel(panel: Panel) -> _AnyPanel:
    made = (
        _new(panel)
        .title(str(panel.title))
        .description(f"{panel.meaning.zh}\n\n{panel.meaning.en}")
        .datasource(PROMETHEUS if isinstance(panel.queries[0], Prom) else POSTGRES)
        .unit(panel.unit)
        .height(panel.height)
        .span(panel.width)
    )
    steps = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in panel.levels)]
    made.thresholds(build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if panel.page:
        made.links([_to_console(panel.page)])
    for index, query in enumerate(panel.queries):
        made.with_target(_target(query, "ABCDEF"[index], is_instant=panel.kind != "lines"))
    return made


def _new(panel: Panel) -> _AnyPanel:
    """What only panels of this kind have."""
    if panel.kind == "stat":
        return stat.Panel()
    if panel.kind == "lines":
        return (
            timeseries.Panel()
            .fill_opacity(10)
            .legend(common.VizLegendOptions().show_legend(True).calcs(["lastNotNull", "max"]))
        )
    if panel.kind == "bars":
        # A row of SQL is a bar; of Prometheus, a series.
        options = common.ReduceDataOptions().calcs(["lastNotNull"]).values(isinstance(panel.queries[0], Sql))
        return (
            bargauge.Panel()
            .display_mode(BarGaugeDisplayMode.BASIC)
            .orientation(VizOrientation.HORIZONTAL)
            .reduce_options(options)
        )
    made = table.Panel().filterable(True)
    words = set(re.findall(r"\w+", panel.queries[0].text))
    for name, column in COLUMNS.items():
        if name in words:  # one that is only compared overrides nothing
            made.override_by_name(name, _properties(column))
    return made


def _properties(column: Column) -> list[DynamicConfigValue]:
    found = [
        DynamicConfigValue(id_val="displayName", value=str(column.title)),
        DynamicConfigValue(id_val="unit", value=column.unit),
    ]
    links: list[dict[str, object]] = []
    if column.is_entity:
        links.append({"title": "经过 · Story", "url": STORY_URL})
    if column.page:
        url = f"${{console:raw}}/{column.page}${{__value.raw:percentencode}}"
        links.append({"title": CONSOLE, "url": url, "targetBlank": True})
    if links:
        found.append(DynamicConfigValue(id_val="links", value=links))
    return found


def _target(query: Prom | Sql, ref_id: str, *, is_instant: bool) -> Builder[Dataquery]:
    if isinstance(query, Sql):
        return SqlQuery(query.text, ref_id)
    made = prometheus.Dataquery().datasource(PROMETHEUS).expr(query.text).legend_format(query.legend).ref_id(ref_id)
    return made.instant() if is_instant else made.range()


def parsed(text: str) -> dict[str, Any]:
    """Back from JSON through the SDK's model, which refuses what it does not know how to place."""
    from grafana_foundation_sdk.models.dashboard import Dashboard as Model

    loaded: dict[str, Any] = json.loads(json.dumps(Model.from_json(json.loads(text)), cls=JSONEncoder))
    return loaded
