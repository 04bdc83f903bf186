"""Webhooks to subscribers: whether they arrive, how soon, and whose endpoint does not work."""

from monitoring.dashboards.declared import (
    ALARM,
    NOTICE,
    PARTNER,
    SEARCH,
    Dashboard,
    Prom,
    Row,
    Sql,
    Words,
    bars,
    chosen,
    found,
    lines,
    stat,
    table,
)

_SHARES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))

SUBSCRIPTIONS = stat(
    Words("订阅", "Subscriptions"),
    Words("正在投递的 Webhook 订阅。", "Webhook subscriptions that are delivered to."),
    Prom("sum(dujiang_delivery_subscriptions)"),
)
IN_FLIGHT = stat(
    Words("投递中", "In flight"),
    Words("正在等待订阅方应答的投递。", "Attempts that wait for a subscriber's answer."),
    Prom("sum(dujiang_delivery_in_flight_attempts)"),
)
WAITING = stat(
    Words("待投递", "Waiting"),
    Words(
        "已编号而未了结的投递；更早的事件仍在日志中等待。",
        "Deliveries numbered and not settled; what comes after them waits in the log.",
    ),
    Prom("sum(dujiang_delivery_waiting_events)"),
)
CIRCUITS = stat(
    Words("中断的端点", "Endpoints that do not work"),
    Words("只收到探测的端点；其余订阅不受影响。", "They get nothing but probes; other subscriptions are not affected."),
    Prom("sum(dujiang_delivery_circuits_open)"),
    levels=NOTICE,
    page="subscriptions",
)
DEAD = stat(
    Words("死信", "Dead letters"),
    Words(
        "所示时段内放弃的投递；订阅方可重新投递。",
        "Deliveries given up within the time shown; subscribers can have them again.",
    ),
    Prom("sum(increase(dujiang_delivery_dead_letters_total[$__range])) or vector(0)"),
    levels=ALARM,
    page="subscriptions",
)
WITHHELD = stat(
    Words("未予投递", "Withheld"),
    Words(
        "订阅方选中、但因权限或分级不得收到的事件。",
        "Events that a subscriber's filter selects and its rights or clearance do not cover.",
    ),
    Prom("sum(increase(dujiang_delivery_withheld_events_total[$__range]))"),
)
ATTEMPTS = lines(
    Words("投递结果", "Attempts by outcome"),
    Words("每秒的投递尝试：已确认，或为何未成。", "Attempts a second: acknowledged, or why not."),
    Prom("sum by (outcome) (rate(dujiang_delivery_attempts_total[$__rate_interval]))", "{{outcome}}"),
    unit="cps",
)
DELAY = lines(
    Words("从收到到订阅方确认的延迟", "Delay from accepted to acknowledged"),
    Words(
        "从 Kafka 记录时间到订阅方确认：中位、p95、p99；不含启用前的事件和按请求重发的。",
        "From the broker's record time to the acknowledgement: median, p95, p99; without backlogs and what is sent again.",
    ),
    *(
        Prom(f"histogram_quantile({share}, sum by (le) (rate(dujiang_delivery_delay_seconds_bucket[$__rate_interval])))", name)
        for name, share in _SHARES
    ),
    unit="s",
)
ANSWERS = lines(
    Words("订阅方的应答时间", "Subscribers' answers"),
    Words("每次尝试到有结果的时间：中位、p95、p99。", "From an attempt's beginning to its outcome: median, p95, p99."),
    *(
        Prom(
            f"histogram_quantile({share}, sum by (le) (rate(dujiang_delivery_attempt_seconds_bucket[$__rate_interval])))", name
        )
        for name, share in _SHARES
    ),
    unit="s",
)
DEAD_BY_REASON = bars(
    Words("死信的原因", "Dead letters by reason"),
    Words("内容不可处理，或多日重试无果。", "The content cannot be taken, or days of attempts came to nothing."),
    Prom("sum by (reason) (increase(dujiang_delivery_dead_letters_total[$__range])) or vector(0)", "{{reason}}"),
)
SUBSCRIBERS = table(
    Words("谁订阅了什么", "Who subscribed to what"),
    Words(
        "每个订阅的类型、依据与进度；未了结最久者在前。无权或超密级的事件不投递，只计数（未予投递）。",
        "Types, basis and progress of each; the furthest behind first. What its owner may not see is withheld and counted.",
    ),
    Sql(
        "SELECT partner, protocol, types, state, reason, purpose, legal_basis, approver,"
        " waiting, behind_s, dead_letters, withheld"
        f" FROM v_subscription WHERE {chosen(PARTNER)} AND {found('partner', 'types', 'purpose', 'approver')}"
        " ORDER BY behind_s DESC, partner, created_at, subscription_id LIMIT 200"
    ),
    page="subscriptions",
)

DASHBOARD = Dashboard(
    "dujiang-deliveries",
    Words("Webhook 投递", "Webhook deliveries"),
    Words("投递是否到达、多快到达，谁的端点不通。", "Whether deliveries arrive, how soon, and whose endpoint does not work."),
    (
        Row(Words("要紧", "What matters"), (SUBSCRIPTIONS, IN_FLIGHT, WAITING, CIRCUITS, DEAD, WITHHELD)),
        Row(Words("投递", "Deliveries"), (ATTEMPTS, DELAY, ANSWERS, DEAD_BY_REASON)),
        Row(Words("订阅", "Subscriptions"), (SUBSCRIBERS,)),
    ),
    variables=(PARTNER, SEARCH),
    hours=6,
)
