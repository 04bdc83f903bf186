"""What a dashboard is made of: words in two languages, queries, panels in rows. Plain data, so that tests can read it."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from schemas.alerts import SEVERITIES

Kind = Literal["stat", "lines", "bars", "table"]
GRID = 24  # columns of Grafana's grid
# Chosen, it narrows nothing: a regular expression for PromQL, for SQL a text that no value is. Grafana's own "All" goes into a
# query unquoted, so that SQL and PromQL could not share it.
ALL = ".*"
EVERYTHING = "全部 · All"
CHOICES_MAX = 500


class Words(NamedTuple):
    """The same in Chinese and English; Grafana has no language of its own for titles, so both are shown."""

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} · {self.en}"


@dataclass(frozen=True)
class Prom:
    """A query in PromQL. `legend`: Grafana's template of a series' name."""

    text: str
    legend: str = ""


@dataclass(frozen=True)
class Sql:
    """A query in SQL, on views only; Grafana fills in `$__timeFilter(column)` and `${variable:sqlstring}`."""

    text: str


@dataclass(frozen=True)
class Panel:
    """One answer. `unit` is Grafana's id of it; of a table, of the columns that COLUMNS gives none.

    width: columns of 24. levels: (from this value on, colour), above green. page: of the console, where its title leads.
    """

    kind: Kind
    title: Words
    meaning: Words
    unit: str
    queries: tuple[Prom | Sql, ...]
    width: int
    levels: tuple[tuple[float, str], ...] = ()
    page: str = ""

    @property
    def height(self) -> int:
        """A number needs little, a table a third of the page."""
        return {"stat": 4, "lines": 8, "bars": 8, "table": 10}[self.kind]


class Row(NamedTuple):
    """Panels under a heading."""

    title: Words
    panels: tuple[Panel, ...]


class Variable(NamedTuple):
    """What narrows a dashboard's panels: one of the values that `values` (SQL) lists, ALL at first.

    Without `values` it is a text that is searched for, empty at first.
    """

    name: str
    label: Words
    values: str = ""

    @property
    def everything(self) -> str:
        """The value that narrows nothing."""
        return ALL if self.values else ""

    @property
    def choices(self) -> Sql:
        """ALL, then at most CHOICES_MAX values."""
        return Sql(
            f"(SELECT '{EVERYTHING}' AS __text, '{ALL}' AS __value) UNION ALL"
            f" (SELECT DISTINCT value, value FROM ({self.values}) listed (value) WHERE value <> ''"
            f" ORDER BY 1 LIMIT {CHOICES_MAX})"
        )


class Dashboard(NamedTuple):
    """One page; `hours` is the time that it shows at first."""

    uid: str
    title: Words
    meaning: Words
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    hours: int = 24

    @property
    def panels(self) -> tuple[Panel, ...]:
        """Of all rows."""
        return tuple(panel for row in self.rows for panel in row.panels)

    @property
    def questions(self) -> tuple[tuple[Panel, Sql], ...]:
        """Of all panels, what they ask PostgreSQL."""
        return tuple((panel, query) for panel in self.panels for query in panel.queries if isinstance(query, Sql))


def asked(query: Sql, dashboard: Dashboard, **values: str) -> str:
    """What Grafana would send within the dashboard's own time; a variable without a value narrows nothing, as at first."""
    filled = {variable.name: variable.everything for variable in dashboard.variables} | values
    within = rf"\1 BETWEEN now() - interval '{dashboard.hours} hours' AND now()"
    text = re.sub(r"\$__timeFilter\(([\w.]+)\)", within, query.text)
    return re.sub(r"\$\{(\w+):sqlstring\}", lambda found: "'" + filled[found[1]] + "'", text)


ALARM = ((1.0, "red"),)  # one is one too many
NOTICE = ((1.0, "yellow"),)


def stat(
    title: Words,
    meaning: Words,
    query: Prom | Sql,
    *,
    unit: str = "short",
    levels: tuple[tuple[float, str], ...] = (),
    page: str = "",
) -> Panel:
    """One number; six stand side by side."""
    return Panel("stat", title, meaning, unit, (query,), 4, levels, page)


def lines(title: Words, meaning: Words, *queries: Prom, unit: str, width: int = 12, page: str = "") -> Panel:
    """How something went."""
    return Panel("lines", title, meaning, unit, queries, width, page=page)


def bars(title: Words, meaning: Words, *queries: Prom | Sql, unit: str = "short", width: int = 12, page: str = "") -> Panel:
    """How much of each."""
    return Panel("bars", title, meaning, unit, queries, width, page=page)


def table(title: Words, meaning: Words, query: Sql, *, width: int = GRID, page: str = "") -> Panel:
    """Which ones. Column names come from COLUMNS."""
    return Panel("table", title, meaning, "none", (query,), width, page=page)


SEARCH = Variable("search", Words("查找", "Search"))
PARTNER = Variable("partner", Words("合作方", "Partner"), "SELECT partner FROM v_partner")
PROGRAMME = Variable("programme", Words("计划", "Programme"), "SELECT programme FROM v_call")
SEVERITY = Variable(
    "severity", Words("级别", "Severity"), f"SELECT unnest(ARRAY[{', '.join(repr(severity) for severity in SEVERITIES)}])"
)
MONITOR = Variable("monitor", Words("监控源", "Monitor"), "SELECT monitor FROM v_alert")
STEP = Variable("step", Words("步骤", "Step"), "SELECT step FROM v_ledger")
TOPIC = Variable("topic", Words("主题", "Topic"), "SELECT topic FROM v_ledger")


def found(*columns: str) -> str:
    """SQL: the text searched for stands in one of the columns, or nothing is searched for."""
    return f"strpos(lower(concat_ws(' ', {', '.join(columns)})), lower(${{search:sqlstring}})) > 0"


# A comparison of constants is decided before a query is planned: where all are shown, the rest of the condition costs nothing.


def chosen(variable: Variable, column: str = "") -> str:
    """SQL: the column, by default of the variable's own name, has the value that was chosen, or all are shown."""
    return f"(${{{variable.name}:sqlstring}} IN ('{ALL}', {column or variable.name}))"


def of_programme(call: str = "call_id") -> str:
    """SQL: the column names a call of the programme that was chosen, or all are shown."""
    return (
        f"(${{programme:sqlstring}} = '{ALL}' OR {call} IN"
        " (SELECT listed.call_id FROM v_call listed WHERE listed.programme = ${programme:sqlstring}))"
    )


def of_partner(source: str) -> str:
    """SQL: the column is a source of the partner that was chosen, or all are shown; as gateway/sources.py has it.

    Only the partner's own and those below can be the nearest to one that may be its own; they are looked for once.
    """
    chosen_one = "${partner:sqlstring}"
    own = f"SELECT unnest(sources) FROM v_partner WHERE partner = {chosen_one}"
    registered = (
        f"SELECT below FROM ({own}) AS own (given), v_partner, unnest(sources) AS below"
        " WHERE starts_with(below || '/', given || '/')"
    )
    return f"({chosen_one} = '{ALL}' OR nearest_source({source}, ARRAY({registered})) = ANY(ARRAY({own})))"


def of_step(topic: str = "topic") -> str:
    """SQL: the column names a topic that the step that was chosen reads, or all are shown."""
    return (
        f"(${{step:sqlstring}} = '{ALL}' OR {topic} IN"
        " (SELECT reads.topic FROM v_ledger reads WHERE reads.step = ${step:sqlstring}))"
    )


def matching(*variables: Variable, more: str = "") -> str:
    """PromQL: labels of the variables' names have the values that were chosen. `more`: other matchers."""
    return "{" + ", ".join([f'{variable.name}=~"${variable.name}"' for variable in variables] + ([more] if more else [])) + "}"


class Column(NamedTuple):
    """A table's column: what it is called, its unit, whether it names an entity that has a story.

    page: of the console, what the value's own address begins with.
    """

    title: Words
    unit: str = "none"
    is_entity: bool = False
    page: str = ""


COLUMNS: dict[str, Column] = {
    # what
    "project_id": Column(Words("项目", "Project"), is_entity=True, page="projects/"),
    "call_id": Column(Words("征集", "Call"), is_entity=True, page="calls/"),
    "alert_key": Column(Words("告警", "Alert"), is_entity=True, page="alerts/"),
    "subject": Column(Words("对象", "Entity"), is_entity=True, page="search?q="),
    "title": Column(Words("名称", "Title")),
    "lead": Column(Words("承担单位", "Lead")),
    "programme": Column(Words("计划", "Programme")),
    "milestone_id": Column(Words("里程碑", "Milestone")),
    "monitor": Column(Words("监控源", "Monitor")),
    "event_type": Column(Words("事件类型", "Event type")),
    "event_name": Column(Words("事件", "Event")),
    "event_id": Column(Words("事件编号", "Event id"), page="search?q="),
    "event_source": Column(Words("来源", "Source"), page="search?q="),
    "connector": Column(Words("连接器", "Connector"), page="search?q=/connectors/"),
    "name": Column(Words("文件", "File")),
    "step": Column(Words("步骤", "Step"), page="way/step/"),
    "topic": Column(Words("主题", "Topic"), page="way/topic/"),
    "partition": Column(Words("分区", "Partition")),
    "record_offset": Column(Words("位移", "Offset")),
    "next_offset": Column(Words("下一位移", "Next offset")),
    "partner": Column(Words("合作方", "Partner"), page="partners/"),
    "problem": Column(Words("问题类型", "Kind of problem"), page="problems/"),
    "protocol": Column(Words("方式", "Protocol")),
    "types": Column(Words("事件类型", "Event types")),
    # how it stands
    "state": Column(Words("状态", "State")),
    "phase": Column(Words("阶段", "Phase")),
    "status": Column(Words("状态", "Status")),
    "severity": Column(Words("级别", "Severity")),
    "condition": Column(Words("条件", "Condition")),
    "handling": Column(Words("处置", "Handling")),
    "suppression": Column(Words("抑制", "Suppression")),
    "is_acknowledged_late": Column(Words("确认超时", "Acknowledged late")),
    "past_limit": Column(Words("超过六个月", "Past six months")),
    "decision": Column(Words("结果", "Decision")),
    "reason": Column(Words("原因", "Reason")),
    "rule": Column(Words("规则", "Rule")),
    "pointer": Column(Words("位置", "Pointer")),
    "message": Column(Words("说明", "Message")),
    "purpose": Column(Words("用途", "Purpose")),
    "legal_basis": Column(Words("法律依据", "Legal basis")),
    "approver": Column(Words("批准单位", "Approver")),
    "clearance": Column(Words("密级", "Clearance")),
    "may_receive": Column(Words("获准类型", "Granted types")),
    "narrowed_to": Column(Words("限于", "Only")),
    "reads_up_to": Column(Words("可读至密级", "Reads up to")),
    "beyond": Column(Words("未获准的类型", "Not granted")),
    # when
    "due_on": Column(Words("应交日期", "Due"), "dateTimeAsIso"),
    "end_on": Column(Words("合同截止", "End"), "dateTimeAsIso"),
    "closes_at": Column(Words("截止时间", "Closes"), "dateTimeAsIso"),
    "raised_at": Column(Words("发生时间", "Raised"), "dateTimeAsIso"),
    "last_seen": Column(Words("最近收到", "Last seen"), "dateTimeAsIso"),
    "acknowledge_by": Column(Words("确认期限", "Acknowledge by"), "dateTimeAsIso"),
    "event_time": Column(Words("发生时间", "Happened"), "dateTimeAsIso"),
    "recorded_at": Column(Words("收到时间", "Recorded"), "dateTimeAsIso"),
    "last_hour": Column(Words("最近一次（小时）", "Last in the hour"), "dateTimeAsIso"),
    "last_recorded_at": Column(Words("最近收到", "Last heard"), "dateTimeAsIso"),
    "first_failed_at": Column(Words("首次失败", "First failed"), "dateTimeAsIso"),
    "started_at": Column(Words("开始", "Started"), "dateTimeAsIso"),
    "finished_at": Column(Words("完成", "Finished"), "dateTimeAsIso"),
    "moved_at": Column(Words("最近提交", "Last moved"), "dateTimeAsIso"),
    "last_read_at": Column(Words("最近读取", "Last read"), "dateTimeAsIso"),
    # how long
    "overdue_days": Column(Words("逾期", "Overdue"), "d"),
    "days_left": Column(Words("剩余", "Left"), "d"),
    "days_past": Column(Words("已过", "Past"), "d"),
    "unchanged_s": Column(Words("停留", "Waits"), "s"),
    "longest_s": Column(Words("最长停留", "Longest"), "s"),
    "closes_in_s": Column(Words("剩余", "Closes in"), "s"),
    "age_s": Column(Words("时长", "Age"), "s"),
    "silent_s": Column(Words("无消息", "Silent"), "s"),
    "lateness_p95_s": Column(Words("迟报 p95", "Lateness p95"), "s"),
    "reading_copy": Column(Words("副本", "Copy")),
    "took_s": Column(Words("用时", "Took"), "s"),
    "behind_s": Column(Words("落后", "Behind"), "s"),
    "late_s": Column(Words("已过期", "Late by"), "s"),
    "mtta_s": Column(Words("平均处置用时", "MTTA"), "s"),
    "take_within_s": Column(Words("处置期限", "To be taken within"), "s"),
    "mttr_s": Column(Words("平均恢复用时", "MTTR"), "s"),
    # how much; amounts stand beside their currency
    "currency": Column(Words("币种", "Currency")),
    "contracted_this_year": Column(Words("今年合同金额", "Contracted this year"), "locale"),
    "paid_this_year": Column(Words("今年拨付", "Paid this year"), "locale"),
    "accepted_this_year": Column(Words("今年验收", "Accepted this year"), "locale"),
    "contracted": Column(Words("合同金额", "Contracted"), "locale"),
    "paid": Column(Words("已拨付", "Paid"), "locale"),
    "accepted": Column(Words("已验收", "Accepted"), "locale"),
    "projects": Column(Words("项目数", "Projects"), "locale"),
    "projects_past_limit": Column(Words("超过六个月的项目数", "Projects past six months"), "locale"),
    "within_30": Column(Words("30 天内", "Within 30 days"), "locale"),
    "within_60": Column(Words("60 天内", "Within 60 days"), "locale"),
    "within_90": Column(Words("90 天内", "Within 90 days"), "locale"),
    "applications": Column(Words("申报数", "Applications"), "locale"),
    "last_call_applications": Column(Words("上期同期", "Last call, same age"), "locale"),
    "episodes": Column(Words("次数", "Episodes"), "locale"),
    "repeats": Column(Words("重复通知", "Repeats"), "locale"),
    "reopened": Column(Words("反复", "Reopened"), "locale"),
    "notifications": Column(Words("通知数", "Notifications"), "locale"),
    "incidents": Column(Words("事件数", "Incidents"), "locale"),
    "per_incident": Column(Words("每次通知数", "Notifications each"), "short"),
    "taken_late": Column(Words("处置超时", "Taken late"), "locale"),
    "unresolved": Column(Words("未恢复", "Not over"), "locale"),
    "events": Column(Words("事件数", "Events"), "locale"),
    "quarantined": Column(Words("隔离", "Quarantined"), "locale"),
    "records": Column(Words("记录数", "Records"), "locale"),
    "findings": Column(Words("发现数", "Findings"), "locale"),
    "rows_done": Column(Words("行数", "Rows"), "locale"),
    "passed": Column(Words("已处理", "Passed"), "locale"),
    "applied": Column(Words("生效", "Applied"), "locale"),
    "duplicate": Column(Words("重复", "Duplicate"), "locale"),
    "superseded": Column(Words("过时", "Superseded"), "locale"),
    "rejected": Column(Words("驳回", "Rejected"), "locale"),
    "waiting": Column(Words("等待", "Waiting"), "locale"),
    "gap": Column(Words("空洞", "Gap"), "locale"),
    "unaccounted": Column(Words("不平", "Unaccounted"), "locale"),
    "dead_letters": Column(Words("死信", "Dead letters"), "locale"),
    "unread": Column(Words("待读取", "Not read yet"), "locale"),
    "reading": Column(Words("读取情况", "How it is read")),
    "withheld": Column(Words("未予投递", "Withheld"), "locale"),
    "timers": Column(Words("定时器", "Timers"), "locale"),
}
