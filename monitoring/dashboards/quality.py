"""Data quality and partners: who is late, silent or wrong, what waits in quarantine and why."""

from monitoring.dashboards.declared import (
    GRID,
    PARTNER,
    SEARCH,
    STEP,
    Dashboard,
    Prom,
    Row,
    Sql,
    Words,
    bars,
    chosen,
    found,
    lines,
    matching,
    of_partner,
    of_step,
    table,
)

_MINE = f"{of_partner('event_source')} AND {chosen(STEP)}"
# A record that cannot work is kept once, under the step that met it first, and is missing in each that reads its topic.
_HELD = f"{of_partner('event_source')} AND {of_step()}"
_THEIRS = matching(PARTNER)

PUBLISHERS = table(
    Words("来源", "Publishers"),
    Words(
        "所示时段内（按小时）每个来源的事件数、重复数、迟报（按档，取其上限）与隔离；久无消息的在前。",
        "Of each source within the time shown, by the hour: events, those sent again, lateness (what 95 of 100 are within, in"
        " classes), quarantined records; the longest silent first.",
    ),
    Sql(
        "SELECT event_source, s.last_recorded_at, extract(epoch FROM now() - s.last_recorded_at) AS silent_s, e.events,"
        " e.duplicate, e.lateness_p95_s, coalesce(q.records, 0) AS quarantined"
        " FROM (SELECT event_source, coalesce(sum(events) FILTER (WHERE outcome = 'taken'), 0) AS events,"
        " coalesce(sum(events) FILTER (WHERE outcome = 'duplicate'), 0) AS duplicate,"
        " min(late_s) FILTER (WHERE outcome = 'taken' AND up_to >= 0.95 * total) AS lateness_p95_s"
        " FROM (SELECT event_source, outcome, late_s, events, sum(events) OVER (PARTITION BY event_source, outcome) AS total,"
        " sum(events) OVER (PARTITION BY event_source, outcome ORDER BY late_s) AS up_to"
        " FROM (SELECT event_source, outcome, late_s, sum(events) AS events FROM v_source_hour"
        " WHERE outcome IN ('taken', 'duplicate') AND $__timeFilter(hour) GROUP BY 1, 2, 3) classes) ranked GROUP BY 1) e"
        " JOIN v_source s USING (event_source)"
        " LEFT JOIN (SELECT event_source, count(*) AS records FROM v_quarantine WHERE state = 'waiting' GROUP BY 1) q"
        f" USING (event_source) WHERE {of_partner('event_source')} AND {found('event_source')}"
        " ORDER BY s.last_recorded_at, event_source LIMIT 200"
    ),
    page="partners",
)
CAUSES = table(
    Words("隔离区按原因", "Quarantine by cause"),
    Words("等待处理的记录，按原因、来源与类型。", "Records that wait, by reason, source and type."),
    Sql(
        "SELECT reason, event_source, event_type, count(*) AS records, min(first_failed_at) AS first_failed_at"
        f" FROM v_quarantine WHERE state = 'waiting' AND {_HELD}"
        " GROUP BY 1, 2, 3 ORDER BY records DESC, reason, event_source LIMIT 200"
    ),
    page="quarantine",
)
RECORDS = table(
    Words("隔离区的记录", "Records in quarantine"),
    Words("最早的在前；全部内容与修复在控制台。", "The earliest first; the console shows everything, and repairs."),
    Sql(
        "SELECT reason, event_source, event_id, topic, partition, record_offset, pointer, age_s FROM v_quarantine"
        f" WHERE state = 'waiting' AND {_HELD} AND {found('reason', 'event_source', 'event_id')}"
        " ORDER BY first_failed_at, id LIMIT 200"
    ),
    page="quarantine?state=waiting",
)
REJECTIONS = table(
    Words("规则驳回", "Refused by the rules"),
    Words(
        "不合规则的事件按原因和来源；它们留作证据，不改变状态。",
        "Events against the rules, by reason and source; they stay as evidence and change nothing.",
    ),
    Sql(
        "SELECT step, reason, event_source, count(*) AS events FROM v_listed_rejection WHERE $__timeFilter(recorded_at)"
        f" AND {_MINE} GROUP BY 1, 2, 3 ORDER BY events DESC, reason, event_source LIMIT 200"
    ),
    width=12,
    page="partners",
)
FINDINGS = table(
    Words("数据中的发现", "Findings"),
    Words("可疑之处，数据已采用或按说明拒收。", "What looked wrong in data that was used, or refused as said."),
    Sql(
        "SELECT rule, severity, count(*) AS findings FROM v_listed_finding WHERE $__timeFilter(recorded_at)"
        " GROUP BY 1, 2 ORDER BY findings DESC, rule LIMIT 200"
    ),
    width=12,
)
CONNECTORS = bars(
    Words("合作方主题：取入与拒收", "Partners' topics: carried and refused"),
    Words(
        "所示时段内从合作方自有 Kafka 主题取入的记录，以及按原因拒收的记录。",
        "Records carried from partners' own Kafka topics within the time shown, and refused by reason.",
    ),
    Prom(
        f"sum by (partner, topic) (increase(dujiang_connector_published_records_total{_THEIRS}[$__range]))",
        "{{partner}} {{topic}}",
    ),
    Prom(
        f"sum by (partner, topic, reason) (increase(dujiang_connector_refused_records_total{_THEIRS}[$__range]))",
        "{{partner}} {{topic}}: {{reason}}",
    ),
    page="partners",
)
CONNECTOR_FAULTS = bars(
    Words("合作方主题：故障", "Partners' topics: faults"),
    Words(
        "所示时段内连接器因故障而等待的次数；environment 需要有人处理。",
        "How often a connector waited since something failed within the time shown; `environment` needs a person.",
    ),
    Prom(
        f"sum by (partner, topic, kind) (increase(dujiang_connector_faults_total{_THEIRS}[$__range]))",
        "{{partner}} {{topic}}: {{kind}}",
    ),
    page="partners",
)
CONNECTOR_LAG = lines(
    Words("合作方主题：积压", "Partners' topics: lag"),
    Words(
        "合作方主题中尚未取入的记录；应回落到 0。", "Records of partners' topics that are not carried yet; it should fall to 0."
    ),
    Prom(f"sum by (partner, topic) (dujiang_connector_lag_records{_THEIRS})", "{{partner}} {{topic}}"),
    unit="short",
    page="partners",
)
CONNECTOR_SILENT = lines(
    Words("合作方主题：距上次取入", "Partners' topics: since records came"),
    Words(
        "距连接器上次取入记录的时间；合作方不发布时可以很长，启动后尚未取入时不显示。",
        "Since a connector last carried records: long where nothing is published; nothing before the first since a start.",
    ),
    Prom(
        f"time() - max by (partner, topic) (dujiang_connector_last_carried_timestamp_seconds{_THEIRS} > 0)",
        "{{partner}} {{topic}}",
    ),
    unit="s",
    page="partners",
)
MONITORS = lines(
    Words("Alertmanager：收下与拒收", "Alertmanager: accepted and refused"),
    Words(
        "每秒收下的告警、按原因拒收的告警，以及整个被拒的请求。",
        "Alerts accepted a second, alerts refused by reason, and bodies refused whole.",
    ),
    Prom("sum(rate(dujiang_alertmanager_accepted_alerts_total[$__rate_interval]))", "accepted"),
    Prom("sum by (reason) (rate(dujiang_alertmanager_refused_alerts_total[$__rate_interval]))", "{{reason}}"),
    Prom("sum by (reason) (rate(dujiang_alertmanager_refused_bodies_total[$__rate_interval]))", "body: {{reason}}"),
    unit="cps",
    width=24,
)
FILES = table(
    Words("连接器的文件", "Files of connectors"),
    Words(
        "最近的二十个；没有完成时间的仍在进行或被中断。", "The latest twenty; one without an end goes on or was interrupted."
    ),
    Sql(
        "SELECT connector, name, rows_done, started_at, finished_at, took_s FROM v_connector_file"
        " ORDER BY started_at DESC LIMIT 20"
    ),
    page="works",
)
_DUPLICATE = matching(STEP, more='outcome="duplicate"')
DUPLICATES = bars(
    Words("重复的记录", "Duplicate records"),
    Words("所示时段内各步骤收到的重复记录。", "Records that a step had seen before, within the time shown."),
    Prom(f"sum by (step) (increase(dujiang_events_total{_DUPLICATE}[$__range]))", "{{step}}"),
    page="way",
)
RHYTHMS = lines(
    Words("约定频率的合作方：静默时长", "Promised rhythms: how long each is silent"),
    Words(
        "距最近一次收到的时间与约定间隔之比；1 为刚好用完，超过 1.1 告警。",
        "Time since each was last heard of, in shares of the interval that it promised; above 1.1 an alert fires.",
    ),
    Prom(
        f"(time() - max by (partner) (dujiang_partner_heard_timestamp_seconds{_THEIRS}))"
        f" / max by (partner) (dujiang_partner_promised_seconds{_THEIRS})",
        "{{partner}}",
    ),
    unit="percentunit",
    width=GRID,
    page="partners",
)
DOOR = lines(
    Words("网关：收下与拒收", "Gateway: accepted and refused"),
    Words("每秒收下的事件，以及按原因拒收的事件。", "Events accepted a second, and refused by reason."),
    Prom("sum(rate(dujiang_gateway_accepted_events_total[$__rate_interval]))", "accepted"),
    Prom("sum by (reason) (rate(dujiang_gateway_refused_events_total[$__rate_interval]))", "{{reason}}"),
    unit="cps",
)
TURNED_AWAY = table(
    Words("网关拒收：按合作方", "Refused by the gateway, by partner"),
    Words(
        "所示时段内（按小时，最多八天）网关当场拒收的事件，按合作方与问题类型；匿名请求不在其列。",
        "Events that the gateway refused at once within the time shown (by the hour, eight days at most), by partner and kind"
        " of problem; without requests of nobody known.",
    ),
    Sql(
        "SELECT partner, problem, sum(events)::bigint AS events, max(hour) AS last_hour FROM v_partner_refusal"
        f" WHERE $__timeFilter(hour) AND {chosen(PARTNER)} AND {found('partner', 'problem')}"
        " GROUP BY 1, 2 ORDER BY events DESC, partner, problem LIMIT 200"
    ),
    width=12,
    page="partners",
)
SENT_AGAIN = table(
    Words("网关按首次回执答复的重复事件", "Sent again, answered by the first receipt"),
    Words(
        "所示时段内（按小时，最多八天）合作方重复发送、网关未再写入的事件；未到日志，不在各步骤的重复数中。",
        "Events that partners sent again and the gateway did not write once more, within the time shown (by the hour, eight"
        " days at most). They reach no log, so no step counts them among its duplicates.",
    ),
    Sql(
        "SELECT partner, sum(events)::bigint AS events, max(hour) AS last_hour FROM v_partner_repeat"
        f" WHERE $__timeFilter(hour) AND {chosen(PARTNER)} AND {found('partner')}"
        " GROUP BY 1 ORDER BY events DESC, partner LIMIT 200"
    ),
    width=12,
    page="partners",
)
READERS = lines(
    Words("网关：读取者", "Gateway: readers"),
    Words(
        "正在读取的数量；每秒送出的事件，以及按原因不予送出的事件。",
        "Readers under way; events a second that went out, and that were withheld by reason.",
    ),
    Prom("sum(dujiang_gateway_readers)", "readers"),
    Prom("sum by (way) (rate(dujiang_gateway_delivered_events_total[$__rate_interval]))", "{{way}}"),
    Prom("sum by (reason) (rate(dujiang_gateway_withheld_events_total[$__rate_interval]))", "withheld: {{reason}}"),
    unit="short",
)

DASHBOARD = Dashboard(
    "dujiang-quality",
    Words("数据质量与合作方", "Data quality and partners"),
    Words("谁迟报、失联或出错，隔离区里有什么、为什么。", "Who is late, silent or wrong; what is in quarantine and why."),
    (
        Row(Words("来源", "Publishers"), (PUBLISHERS, RHYTHMS, DOOR, DUPLICATES, SENT_AGAIN, TURNED_AWAY)),
        Row(Words("订阅", "Subscribers"), (READERS,)),
        Row(Words("隔离区", "Quarantine"), (CAUSES, RECORDS)),
        Row(Words("规则与发现", "Rules and findings"), (REJECTIONS, FINDINGS)),
        Row(
            Words("连接器", "Connectors"),
            (CONNECTORS, CONNECTOR_FAULTS, CONNECTOR_LAG, CONNECTOR_SILENT, MONITORS, FILES),
        ),
    ),
    (PARTNER, STEP, SEARCH),
    hours=24 * 7,
)
