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
PER_ALERT = table(
    Words("每条告警的通知数，一周", "Notifications for each alert, this week"),
    Words(
        "一周内发生的告警，只计其最近一次过程：通知数与告警数之比；同一周更早的过程不在其中。",
        "Alerts raised this week, each by its latest episode alone: notifications against alerts. Earlier episodes of the same"
        " week are left out.",
    ),
    Sql(
        "SELECT monitor, count(*) AS alerts, sum(1 + repeats + reopened) AS notifications,"
        " round(avg(1 + repeats + reopened), 1) AS per_alert FROM v_alert"
        f" WHERE raised_at > now() - interval '7 days' AND {_MINE} GROUP BY monitor ORDER BY notifications DESC"
    ),
    width=8,
)
NOISY = table(
    Words("最吵的十条告警", "The ten noisiest alerts"),
    Words("一周内最近一次过程的重复通知最多。", "Most repeats in their latest episode, within a week."),
    Sql(
        "SELECT alert_key, title, repeats, episodes FROM v_alert WHERE last_seen > now() - interval '7 days'"
        f" AND repeats > 0 AND {_MINE} ORDER BY repeats DESC, alert_key LIMIT 10"
    ),
    width=8,
)
FLAPPING = table(
    Words("反复的告警", "Flapping alerts"),
    Words("半小时内恢复又触发。", "Over, and firing again within half an hour."),
    Sql(
        "SELECT alert_key, title, reopened, last_seen FROM v_alert WHERE last_seen > now() - interval '7 days'"
        f" AND reopened > 0 AND {_MINE} ORDER BY reopened DESC, alert_key LIMIT 50"
    ),
    width=8,
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
        Row(Words("噪声", "Noise"), (PER_ALERT, NOISY, FLAPPING)),
    ),
    (SEVERITY, MONITOR, SEARCH),
    hours=24 * 7,
)
