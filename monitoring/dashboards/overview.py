"""The Bureau at a glance: what needs somebody now, and a way on from each."""

from monitoring.dashboards.declared import ALARM, NOTICE, Dashboard, Prom, Row, Sql, Words, bars, lines, stat, table

OVERDUE = stat(
    Words("逾期项目", "Overdue projects"),
    Words("有里程碑或验收申请已过期限的项目。", "Projects with a milestone or an application for acceptance past its limit."),
    Sql("SELECT count(*) AS projects FROM v_listed_project WHERE is_overdue"),
    levels=NOTICE,
    page="projects?claim=overdue",
)
AT_RISK = stat(
    Words("有风险项目", "Projects at risk"),
    Words("执行中、30 天内有里程碑到期且未报告。", "Executing, with a milestone due within 30 days and not reported."),
    Sql("SELECT count(DISTINCT project_id) AS projects FROM v_due_milestone WHERE is_at_risk"),
    levels=NOTICE,
    page="projects?claim=at_risk",
)
CLOSING = stat(
    Words("即将截止的征集", "Calls closing soon"),
    Words("14 天内截止的征集。", "Calls that close within 14 days."),
    Sql("SELECT count(*) AS calls FROM v_call WHERE phase = 'closing_soon'"),
    page="calls?phase=closing_soon",
)
FIRING = stat(
    Words("触发中的告警", "Alerts firing"),
    Words("监控源认为仍在发生的告警。", "Alerts that their monitor says go on."),
    Sql("SELECT count(*) AS alerts FROM v_alert WHERE condition = 'firing'"),
    levels=NOTICE,
    page="alerts",
)
LATE = stat(
    Words("确认超时的告警", "Alerts nobody took"),
    Words(
        "触发中、无人确认且已超过级别期限：紧急 15 分钟、高 1 小时、警告 1 天。",
        "Firing, open, and past the limit of their severity: critical 15 minutes, high 1 hour, warning 1 day.",
    ),
    Sql("SELECT count(*) AS alerts FROM v_alert WHERE is_acknowledged_late"),
    levels=ALARM,
    page="alerts",
)
QUARANTINE = stat(
    Words("隔离区待处理", "Waiting in quarantine"),
    Words("无法处理、等待修复或搁置的记录。", "Records that cannot work as they are and wait for repair or a decision."),
    Sql("SELECT count(*) AS records FROM v_quarantine WHERE state = 'waiting'"),
    levels=NOTICE,
    page="quarantine",
)
STATES = bars(
    Words("项目按状态", "Projects by state"),
    Words("每个状态下的项目数。", "How many projects are in each state."),
    Sql(
        "SELECT coalesce(state, '-') AS state, sum(projects)::bigint AS projects"
        " FROM v_project_count GROUP BY 1 ORDER BY 2 DESC",
    ),
)
SEVERITIES = bars(
    Words("触发中的告警按级别", "Alerts firing by severity"),
    Words("最严重的在前。", "The worst first."),
    Sql(
        "SELECT severity, count(*) AS alerts FROM v_alert WHERE condition = 'firing'"
        " GROUP BY severity, severity_rank ORDER BY severity_rank DESC"
    ),
)
TRAFFIC = lines(
    Words("处理速率", "Records decided"),
    Words("各步骤每秒处理的记录，不论结果。", "Records that each step decides a second, whatever the outcome."),
    Prom("sum by (step) (step_outcome:dujiang_events:rate5m)", "{{step}}"),
    unit="cps",
)
DELAY = lines(
    Words("从收到到生效的延迟 p95", "Delay from accepted to applied, p95"),
    Words("二十条记录中最慢的一条需要多久。", "How long the slowest of twenty records takes from the broker to the commit."),
    Prom("step:dujiang_arrival_delay_seconds:p95_5m", "{{step}}"),
    unit="s",
)
LATEST = table(
    Words("最近的事件", "Latest events"),
    Words("平台最近收到的二十条事件；点击对象看其全部经过。", "The twenty events recorded last; an entity leads to its story."),
    Sql(
        # Where many come, the last minute has twenty, and the whole time is not looked through.
        "WITH fresh AS (SELECT recorded_at, event_type, event_source, subject FROM v_event"
        " WHERE recorded_at > now() - interval '1 minute' AND $__timeFilter(recorded_at) ORDER BY recorded_at DESC LIMIT 20)"
        " SELECT * FROM fresh WHERE (SELECT count(*) FROM fresh) = 20 UNION ALL"
        " (SELECT recorded_at, event_type, event_source, subject FROM v_event WHERE (SELECT count(*) FROM fresh) < 20"
        " AND $__timeFilter(recorded_at) ORDER BY recorded_at DESC LIMIT 20) ORDER BY recorded_at DESC"
    ),
)

DASHBOARD = Dashboard(
    "dujiang-overview",
    Words("总览", "Overview"),
    Words("现在什么需要人处理。", "What needs a person now."),
    (
        Row(Words("现在", "Now"), (OVERDUE, AT_RISK, CLOSING, FIRING, LATE, QUARANTINE)),
        Row(Words("分布", "Where things stand"), (STATES, SEVERITIES)),
        Row(Words("流动", "Flow"), (TRAFFIC, DELAY)),
        Row(Words("事件", "Events"), (LATEST,)),
    ),
)
