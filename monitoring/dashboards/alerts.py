"""Infrastructure alerts: the three axes side by side, what nobody took, what makes noise, which monitor fell silent."""

from monitoring.dashboards.declared import (
    MONITOR,
    SEARCH,
    SEVERITY,
    Dashboard,
    Prom,
    Row,
    Sql,
    Words,
    chosen,
    found,
    lines,
    matching,
    table,
)

_MINE = f"{chosen(SEVERITY)} AND {chosen(MONITOR)}"

OPEN = table(
    Words("未结束的告警", "Open alerts"),
    Words(
        "触发中，或已恢复而无人处置；确认超时的在前，其次按级别与时长。",
        "Firing, or over and not handled; those nobody took in time first, then by severity and age.",
    ),
    Sql(
        "SELECT alert_key, monitor, severity, title, condition, handling, suppression, age_s, acknowledge_by,"
        " CASE WHEN is_acknowledged_late THEN 'yes' ELSE 'no' END AS is_acknowledged_late FROM v_alert"
        f" WHERE (condition = 'firing' OR handling = 'open') AND {_MINE} AND {found('alert_key', 'title', 'severity')}"
        " ORDER BY v_alert.is_acknowledged_late DESC, severity_rank DESC, age_s DESC LIMIT 200"
    ),
    page="alerts",
)
_THIS_WEEK = "over_at > now() - interval '7 days'"
PER_INCIDENT = table(
    Words("每次事件的通知数，一周", "Notifications for each incident, this week"),
    Words(
        "一次事件是一条告警从触发到恢复的一次过程，半小时内的反复计入其中；一周内开始的事件：通知数与事件数之比。",
        "An incident is one episode of an alert, from firing to resolved, what came back within half an hour included."
        " Of those that began this week: notifications against incidents.",
    ),
    Sql(
        "SELECT monitor, count(*) AS incidents, sum(notifications)::bigint AS notifications,"
        " round(avg(notifications), 1) AS per_incident FROM v_alert_episode"
        f" WHERE opened_at > now() - interval '7 days' AND {_MINE} GROUP BY monitor ORDER BY notifications DESC, monitor"
    ),
    width=8,
    page="alerts",
)
NOISY = table(
    Words("最吵的十条告警", "The ten noisiest alerts"),
    Words(
        "一周内触发过的告警中通知最多的，含该周内全部过程。",
        "Most notifications of all alerts that fired within a week, in all their episodes of it.",
    ),
    Sql(
        "SELECT alert_key, (array_agg(title ORDER BY episode DESC))[1] AS title, sum(notifications)::bigint AS notifications,"
        f" count(*) AS episodes FROM v_alert_episode WHERE {_THIS_WEEK} AND {_MINE}"
        " GROUP BY alert_key HAVING sum(notifications) > 1 ORDER BY notifications DESC, alert_key LIMIT 10"
    ),
    width=8,
)
FLAPPING = table(
    Words("反复的告警", "Flapping alerts"),
    Words(
        "一周内恢复后半小时内又触发的次数，含该周内全部过程。",
        "How often each was over and fired again within half an hour, in all its episodes of a week.",
    ),
    Sql(
        "SELECT alert_key, (array_agg(title ORDER BY episode DESC))[1] AS title, sum(reopened)::bigint AS reopened,"
        f" max(last_seen) AS last_seen FROM v_alert_episode WHERE {_THIS_WEEK} AND {_MINE}"
        " GROUP BY alert_key HAVING sum(reopened) > 0 ORDER BY reopened DESC, alert_key LIMIT 50"
    ),
    width=8,
)
RESPONSE = table(
    Words("确认与恢复用时", "How soon taken and over"),
    Words(
        "所示时段内开始的事件：从监控首次报告到有人处置（MTTA）与到恢复（MTTR，含反复）的平均时间；确认期限来自级别，"
        "超过期限才有人处置或仍无人处置的计为超时。",
        "Of incidents that began within the time shown: mean time from the monitor's first word until somebody took it (MTTA)"
        " and until it was over (MTTR, what came back included). The limit is the severity's; late: taken after it, or not"
        " yet. Silences are not taken off.",
    ),
    Sql(
        "SELECT monitor, severity, count(*) AS incidents, avg(taken_s) AS mtta_s, max(take_within_s) AS take_within_s,"
        " count(*) FILTER (WHERE coalesce(taken_at, least(over_at, now())) > opened_at + make_interval(secs => take_within_s))"
        " AS taken_late, avg(lasted_s) AS mttr_s, count(*) FILTER (WHERE NOT isfinite(over_at)) AS unresolved"
        f" FROM v_alert_episode WHERE $__timeFilter(opened_at) AND {_MINE}"
        " GROUP BY monitor, severity, severity_rank ORDER BY severity_rank DESC, monitor LIMIT 200"
    ),
    page="alerts",
)
EXPIRED = table(
    Words("失去消息的告警", "Alerts whose monitor fell silent"),
    Words("三个刷新周期没有消息，平台不再相信其仍在触发。", "Unheard of for three refreshes, so no longer believed to fire."),
    Sql(
        "SELECT monitor, alert_key, title, severity, last_seen, extract(epoch FROM now() - last_seen) AS silent_s FROM v_alert"
        f" WHERE condition = 'expired' AND handling <> 'closed' AND {_MINE} ORDER BY last_seen LIMIT 200"
    ),
)

FIRING = lines(
    Words("触发中的告警", "Alerts firing"),
    Words("按级别，含被静默的；全部监控源。", "By severity, of all monitors, silenced ones included."),
    Prom(f"max by (severity) (dujiang_alerts_firing{matching(SEVERITY)})", "{{severity}}"),
    unit="short",
)
OVERDUE = lines(
    Words("无人按时确认的告警", "Alerts nobody took in time"),
    Words(
        "触发中、无人确认且已超过级别期限（紧急 15 分钟、高 1 小时、警告 1 天），全部监控源；不为 0 超过一分钟时告警。",
        "Of all monitors: firing, open and past the limit of their severity (critical 15 minutes, high 1 hour, warning 1 day);"
        " an alert fires when it is not 0 for a minute.",
    ),
    Prom(f"max by (severity) (dujiang_alerts_overdue{matching(SEVERITY)})", "{{severity}}"),
    unit="short",
)

DASHBOARD = Dashboard(
    "dujiang-alerts",
    Words("基础设施告警", "Infrastructure alerts"),
    Words("条件、处置、抑制三个维度并列。", "Condition, handling and suppression side by side."),
    (
        Row(Words("现在", "Now"), (OPEN, EXPIRED)),
        Row(Words("走势", "How it went"), (FIRING, OVERDUE)),
        Row(Words("处置", "Response"), (RESPONSE,)),
        Row(Words("噪声", "Noise"), (PER_INCIDENT, NOISY, FLAPPING)),
    ),
    (SEVERITY, MONITOR, SEARCH),
    hours=24 * 7,
)
