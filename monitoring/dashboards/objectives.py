"""Service level objectives: what was promised, what was kept, how fast the allowance is used up."""

from monitoring.dashboards.declared import PARTNER, STEP, Dashboard, Prom, Row, Words, lines, matching, stat

_STEP, _THEIRS = matching(STEP), matching(PARTNER)
_IN_TIME = matching(STEP, more='le=~"5|5[.]0"')
_FRESH = matching(PARTNER, more='le=~"86400|86400[.]0"')
_OURS = "not_confirmed|overloaded|broker_refused|internal_error"

KEPT = stat(
    Words("5 秒内生效", "Applied within 5 s"),
    Words("目标：30 天内 99%。此处为所示时段。", "Objective: 99% over 30 days. Here: over the time shown."),
    Prom(
        f"sum(increase(dujiang_arrival_delay_seconds_bucket{_IN_TIME}[$__range]))"
        f" / sum(increase(dujiang_arrival_delay_seconds_count{_STEP}[$__range]))"
    ),
    unit="percentunit",
)
CONFIRMED = stat(
    Words("网关确认", "Confirmed at the gateway"),
    Words(
        "合格事件中被 Kafka 确认的份额；合作方自身的错误不计。",
        "Of the events that were right, the share that Kafka confirmed; partners' mistakes are not counted.",
    ),
    Prom(
        "sum(increase(dujiang_gateway_accepted_events_total[$__range]))"
        " / (sum(increase(dujiang_gateway_accepted_events_total[$__range]))"
        f' + (sum(increase(dujiang_gateway_refused_events_total{{reason=~"{_OURS}"}}[$__range])) or vector(0)))'
    ),
    unit="percentunit",
)
BURN = lines(
    Words("延迟预算的消耗速度", "How fast the allowance of delay is used up"),
    Words(
        "1 表示 30 天正好用完；一小时超过 14.4 或六小时超过 6 时告警。有积压而无提交的时间另计（no commits）。",
        "1 uses it up in 30 days exactly; above 14.4 over an hour, or 6 over six hours, an alert fires. Time in which records"
        " waited and nothing was committed counts by itself (no commits).",
    ),
    Prom(f"step:dujiang_arrival_slow:ratio_rate5m{_STEP} / 0.01", "{{step}} 5m"),
    Prom(f"step:dujiang_arrival_slow:ratio_rate30m{_STEP} / 0.01", "{{step}} 30m"),
    Prom(f"step:dujiang_arrival_slow:ratio_rate1h{_STEP} / 0.01", "{{step}} 1h"),
    Prom(f"step:dujiang_arrival_slow:ratio_rate6h{_STEP} / 0.01", "{{step}} 6h"),
    Prom(f"avg_over_time(step:dujiang_commits_missing:bool{_STEP}[1h]) / 0.01", "{{step}} 1h, no commits"),
    unit="none",
)
DELIVERED = stat(
    Words("一分钟内送达", "Delivered within a minute"),
    Words(
        "目标：30 天内 99% 的 Webhook 投递在一分钟内得到确认；放弃的算作未达到。",
        "Objective: 99% of webhook deliveries acknowledged within a minute over 30 days; what is given up counts as missed.",
    ),
    Prom(
        'sum(increase(dujiang_delivery_delay_seconds_bucket{le=~"60|60[.]0"}[$__range]))'
        " / (sum(increase(dujiang_delivery_delay_seconds_count[$__range]))"
        " + (sum(increase(dujiang_delivery_dead_letters_total[$__range])) or vector(0)))"
    ),
    unit="percentunit",
)
FRESH = stat(
    Words("一天内报送", "Reported within a day"),
    Words(
        "目标：30 天内每个合作方 95% 的事件在发生后一天内收到，无论经网关还是经其自有 Kafka 主题。此处为全部或所选合作方。",
        "Objective: 95% of each partner's events accepted within a day of happening, over 30 days, through the gateway or from"
        " a Kafka topic of its own. Here: of all partners, or of the one chosen.",
    ),
    Prom(
        f"sum(increase(dujiang_gateway_event_age_seconds_bucket{_FRESH}[$__range])"
        f" or increase(dujiang_connector_event_age_seconds_bucket{_FRESH}[$__range]))"
        f" / sum(increase(dujiang_gateway_event_age_seconds_count{_THEIRS}[$__range])"
        f" or increase(dujiang_connector_event_age_seconds_count{_THEIRS}[$__range]))"
    ),
    unit="percentunit",
)
DELIVERY_BURN = lines(
    Words("投递预算的消耗速度", "How fast the allowance of deliveries is used up"),
    Words(
        "1 表示 30 天正好用完；一小时超过 14.4 或六小时超过 6 时告警。",
        "1 uses it up in 30 days exactly; above 14.4 over an hour, or 6 over six hours, an alert fires.",
    ),
    Prom("job:dujiang_delivery_missed:ratio_rate5m / 0.01", "5m"),
    Prom("job:dujiang_delivery_missed:ratio_rate30m / 0.01", "30m"),
    Prom("job:dujiang_delivery_missed:ratio_rate1h / 0.01", "1h"),
    Prom("job:dujiang_delivery_missed:ratio_rate6h / 0.01", "6h"),
    unit="none",
)
FRESHNESS_BURN = lines(
    Words("各合作方时效预算的消耗速度", "How fast each partner uses up its allowance of freshness"),
    Words(
        "1 表示 30 天正好用完；六小时超过 6 或三天超过 1 时告警。",
        "1 uses it up in 30 days exactly; above 6 over six hours, or 1 over three days, an alert fires.",
    ),
    Prom(f"partner:dujiang_event_stale:ratio_rate30m{_THEIRS} / 0.05", "{{partner}} 30m"),
    Prom(f"partner:dujiang_event_stale:ratio_rate6h{_THEIRS} / 0.05", "{{partner}} 6h"),
    Prom(f"partner:dujiang_event_stale:ratio_rate3d{_THEIRS} / 0.05", "{{partner}} 3d"),
    unit="none",
)
PUBLISH = lines(
    Words("网关等待 Kafka 的时间", "The gateway's wait for Kafka"),
    Words(
        "从请求通过检查到 Kafka 确认：中位、p95、p99。",
        "From a validated request to the broker's acknowledgement: median, p95, p99.",
    ),
    *(
        Prom(f"histogram_quantile({share}, sum by (le) (rate(dujiang_gateway_publish_seconds_bucket[$__rate_interval])))", name)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    ),
    unit="s",
)

DASHBOARD = Dashboard(
    "dujiang-objectives",
    Words("服务目标", "Objectives"),
    Words("承诺了什么，兑现了多少。", "What was promised and what was kept."),
    (
        Row(Words("兑现", "Kept"), (KEPT, CONFIRMED, DELIVERED, FRESH)),
        Row(Words("消耗", "Used up"), (BURN, DELIVERY_BURN, FRESHNESS_BURN, PUBLISH)),
    ),
    (STEP, PARTNER),
    hours=24 * 7,
)
