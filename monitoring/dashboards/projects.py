"""Projects and calls: what is late, what comes due, where money and applications stand."""

from monitoring.dashboards.declared import (
    ALL,
    NOTICE,
    PROGRAMME,
    SEARCH,
    Dashboard,
    Row,
    Sql,
    Words,
    chosen,
    found,
    of_programme,
    stat,
    table,
)

_MINE = f"{of_programme()} AND {found('project_id', 'title', 'lead', 'programme')}"


def _of_programme_of(view: str) -> str:
    """The same for a view that names the project alone."""
    return (
        f"(${{programme:sqlstring}} = '{ALL}' OR EXISTS (SELECT FROM v_listed_project p"
        f" WHERE p.project_id = {view}.project_id AND p.programme = ${{programme:sqlstring}}))"
    )


SILENT = stat(
    Words("失联项目", "Silent projects"),
    Words("执行中、一年以上没有报告。", "Executing, and not reported for over a year."),
    Sql(f"SELECT count(*) AS projects FROM v_listed_project WHERE is_silent AND {of_programme()}"),
    levels=NOTICE,
    page="projects?claim=silent",
)
UNDERSPENT = stat(
    Words("拨付不足的项目", "Underspent projects"),
    Words("已到验收或以后，拨付不到合同的一半。", "In acceptance or later, with less than half of the contract paid."),
    Sql(f"SELECT coalesce(sum(underspent), 0)::bigint AS projects FROM v_project_count WHERE {chosen(PROGRAMME)}"),
    levels=NOTICE,
    page="projects?claim=underspent",
)
WAITING = stat(
    Words("等待前序的事件", "Parked events"),
    Words("早到的事件，等它前面的事件到来。", "Events that came early and wait for the one before them."),
    Sql(
        "SELECT coalesce(sum(parked_events), 0)::bigint AS events FROM v_listed_project"
        f" WHERE parked_events > 0 AND {of_programme()}"
    ),
)
OVERDUE = table(
    Words("逾期项目", "Overdue projects"),
    Words(
        "有里程碑到期未报告，或到期六个月仍未申请验收；最久的在前。",
        "A milestone is due and not reported, or six months after the end nobody applied for acceptance; the longest first.",
    ),
    Sql(
        "SELECT project_id, title, lead, programme, state, overdue_days FROM v_listed_project"
        f" WHERE is_overdue AND {_MINE} ORDER BY overdue_from, project_id LIMIT 200"
    ),
    page="projects?claim=overdue",
)
MILESTONES = table(
    Words("90 天内到期的里程碑", "Milestones due within 90 days"),
    Words("尚未报告或被退回的里程碑，最近的在前。", "Milestones not yet reported, or returned; the nearest first."),
    Sql(
        "SELECT project_id, milestone_id, title, lead, status, due_on::timestamptz AS due_on, days_left FROM v_due_milestone"
        " WHERE due_on BETWEEN (now() AT TIME ZONE 'UTC')::date AND (now() AT TIME ZONE 'UTC')::date + 90"
        f" AND {found('project_id', 'title', 'lead')} AND {_of_programme_of('v_due_milestone')}"
        " ORDER BY v_due_milestone.due_on, project_id, milestone_id LIMIT 200"
    ),
)
MILESTONES_COUNT = table(
    Words("30/60/90 天内到期的里程碑数", "How many milestones fall due within 30, 60 and 90 days"),
    Words(
        "全部计划中尚未报告或被退回的里程碑；后者含前者。",
        "Of all programmes, not yet reported, or returned; each number includes those before it.",
    ),
    Sql(
        "SELECT count(*) FILTER (WHERE days_left <= 30) AS within_30, count(*) FILTER (WHERE days_left <= 60) AS within_60,"
        " count(*) AS within_90 FROM v_due_milestone"
        " WHERE due_on BETWEEN (now() AT TIME ZONE 'UTC')::date AND (now() AT TIME ZONE 'UTC')::date + 90"
    ),
    width=12,
    page="projects?claim=at_risk",
)
UNACCEPTED_COUNT = table(
    Words("合同已到期、未申请验收的项目数", "How many are past their end, acceptance not applied for"),
    Words("其中已超过六个月期限的项目数。", "And how many of them are past the limit of six months."),
    Sql(
        "SELECT count(*) AS projects, count(*) FILTER (WHERE now() > (end_on::timestamp + interval '183 days') AT TIME ZONE"
        " 'UTC') AS projects_past_limit FROM v_listed_project"
        f" WHERE state = 'acceptance_pending' AND end_on <= (now() AT TIME ZONE 'UTC')::date AND {of_programme()}"
    ),
    width=12,
    page="projects?state=acceptance_pending",
)
UNACCEPTED = table(
    Words("合同已到期、未申请验收", "Past their end, acceptance not applied for"),
    Words(
        "合同截止已过而未申请验收的项目；六个月是期限。",
        "The contract ended and nobody applied for acceptance; six months is the limit.",
    ),
    Sql(
        "SELECT project_id, title, lead, end_on::timestamptz AS end_on, (now() AT TIME ZONE 'UTC')::date - end_on AS days_past,"
        " CASE WHEN now() > (end_on::timestamp + interval '183 days') AT TIME ZONE 'UTC' THEN 'yes' ELSE 'no' END AS past_limit"
        " FROM v_listed_project WHERE state = 'acceptance_pending' AND end_on <= (now() AT TIME ZONE 'UTC')::date"
        f" AND {_MINE} ORDER BY v_listed_project.end_on, project_id LIMIT 200"
    ),
    page="projects?state=acceptance_pending",
)
EXTENSIONS = table(
    Words("延期申请", "Extensions"),
    Words(
        "批准与驳回的延期及驳回原因（extension_too_late 为提出过晚）；waiting 为等待前序事件。",
        "Extensions granted and refused, and why (extension_too_late: asked for too late); waiting: parked, it came early.",
    ),
    Sql(
        "SELECT e.event_time, e.project_id AS subject, e.event_source,"
        " CASE WHEN r.reason IS NOT NULL THEN 'refused' WHEN p.event_id IS NOT NULL THEN 'waiting' ELSE 'granted' END"
        " AS decision, coalesce(r.reason, '') AS reason"
        " FROM (SELECT * FROM v_extension WHERE $__timeFilter(event_time)"
        f" AND {_of_programme_of('v_extension')} ORDER BY event_time DESC LIMIT 200) e"
        " LEFT JOIN LATERAL (SELECT reason FROM v_rejection r WHERE r.subject = e.project_id"
        " AND r.event_id = e.event_id AND r.event_source = e.event_source LIMIT 1) r ON true"
        " LEFT JOIN v_parked_event p ON p.project_id = e.project_id AND p.event_id = e.event_id"
        " AND p.event_source = e.event_source ORDER BY e.event_time DESC"
    ),
)
_THIS_YEAR = "extract(year FROM now() AT TIME ZONE 'UTC')"
MONEY = table(
    Words("各计划的资金", "Money by programme"),
    Words(
        "今年：今年开始的合同、今年拨付的金额、今年通过验收的合同金额，均按事件发生之日（UTC）。其余为全部合同迄今，分币种。",
        "This year, by the day on which each happened (UTC): contracts that begin in it, what was paid, and the contracts of"
        " what was accepted. The rest is of all contracts to this day, by currency.",
    ),
    Sql(
        "SELECT programme, currency, sum(contracted_this_year)::bigint AS contracted_this_year,"
        " sum(paid_this_year)::bigint AS paid_this_year, sum(accepted_this_year)::bigint AS accepted_this_year,"
        " sum(projects)::bigint AS projects, sum(contracted)::bigint AS contracted, sum(paid)::bigint AS paid,"
        " sum(accepted)::bigint AS accepted FROM (SELECT programme, currency,"
        f" CASE WHEN start_year = {_THIS_YEAR} THEN contracted ELSE 0 END AS contracted_this_year, 0 AS paid_this_year,"
        " 0 AS accepted_this_year, contracts AS projects, contracted, paid,"
        " CASE WHEN state IN ('accepted', 'closed', 'archived') THEN contracted ELSE 0 END AS accepted"
        " FROM v_project_count WHERE contracts > 0 UNION ALL"
        " SELECT programme, currency, 0, paid, accepted, 0, 0, 0, 0 FROM v_project_year"
        f" WHERE year = {_THIS_YEAR}) money WHERE {chosen(PROGRAMME)}"
        " GROUP BY programme, currency ORDER BY contracted_this_year DESC, contracted DESC, programme"
    ),
    page="projects",
)
STUCK = table(
    Words("停在哪个状态、多久", "Where projects stay, and how long"),
    Words("每个状态的项目数与停留最久者。", "Projects in each state, and the longest stay."),
    Sql(
        "SELECT coalesce(s.state, '-') AS state, s.projects, p.unchanged_s AS longest_s"
        " FROM (SELECT state, sum(projects)::bigint AS projects FROM v_project_count"
        f" WHERE {chosen(PROGRAMME)} GROUP BY state) s"
        " LEFT JOIN LATERAL (SELECT unchanged_s FROM v_listed_project l WHERE l.state = s.state AND l.changed_at IS NOT NULL"
        f" AND {of_programme('l.call_id')} ORDER BY l.moved_at LIMIT 1) p ON true ORDER BY longest_s DESC NULLS LAST"
    ),
    width=12,
    page="projects",
)
APPLICATIONS = table(
    Words("等得最久的申报与评审", "Applications and reviews that wait longest"),
    Words("尚未有结论的申报，等得最久的在前。", "Applications without a decision; those that wait longest first."),
    Sql(
        "SELECT project_id, title, lead, state, unchanged_s FROM v_listed_project"
        f" WHERE state IN ('applied', 'returned', 'under_review', 'reserve') AND {_MINE}"
        " ORDER BY moved_at, project_id LIMIT 200"
    ),
    page="projects?claim=undecided",
)
CALLS = table(
    Words("14 天内截止的征集", "Calls that close within 14 days"),
    Words(
        "申报数与同一计划上一期开放同样久时相比，精确到小时。",
        "Applications, beside those of the programme's last call when it had been open as long, to the hour.",
    ),
    Sql(
        "SELECT c.call_id, c.title, c.programme, c.closes_at, c.closes_in_s,"
        " (SELECT coalesce(sum(h.applications), 0)::bigint FROM v_call_hour h WHERE h.call_id = c.call_id) AS applications,"
        " (SELECT coalesce(sum(h.applications), 0)::bigint FROM v_call_hour h WHERE h.call_id = c.last_id"
        " AND h.hour - c.last_opens_at <= now() - c.opens_at) AS last_call_applications"
        " FROM (SELECT *, last_value(call_id) OVER earlier AS last_id, last_value(opens_at) OVER earlier AS last_opens_at"
        " FROM v_call WINDOW earlier AS (PARTITION BY programme ORDER BY opens_at"
        " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE GROUP)) c"
        f" WHERE c.phase = 'closing_soon' AND {chosen(PROGRAMME, 'c.programme')} ORDER BY c.closes_at, c.call_id"
    ),
    page="calls?phase=closing_soon",
)

DASHBOARD = Dashboard(
    "dujiang-projects",
    Words("项目与征集", "Projects and calls"),
    Words("什么已经晚了，什么快到期，资金与申报在哪里。", "What is late, what comes due, where money and applications stand."),
    (
        Row(Words("提醒", "Notices"), (SILENT, UNDERSPENT, WAITING)),
        Row(Words("期限", "Deadlines"), (MILESTONES_COUNT, UNACCEPTED_COUNT, OVERDUE, MILESTONES, UNACCEPTED, EXTENSIONS)),
        Row(Words("资金与进度", "Money and progress"), (MONEY, STUCK)),
        Row(Words("申报与征集", "Applications and calls"), (APPLICATIONS, CALLS)),
    ),
    (PROGRAMME, SEARCH),
    hours=24 * 365,
)
