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
        "每个订阅的类型、依据与进度；未了结最久者在前。待读取为日志中其主题尚未读取的记录：持游标读取者自其最近一页起计，"
        "Kafka 消费者自其提交的位点起计（多个消费组取最落后者）；未提交位点（nothing_committed）者不显示。"
        "无权或超密级的事件不投递，只计数（未予投递）。",
        "Types, basis and progress of each; the furthest behind first. Not read yet: records in the log of its topics, for"
        " readers with a cursor behind their last page, for Kafka's own consumers behind what they committed (of several groups"
        " the one furthest behind); empty where they commit nothing. What its owner may not see is withheld and counted.",
    ),
    Sql(
        "SELECT partner, protocol, types, state, reason, purpose, legal_basis, approver,"
        " waiting, unread, reading, last_read_at, behind_s, dead_letters, withheld"
        f" FROM v_subscription WHERE {chosen(PARTNER)} AND {found('partner', 'types', 'purpose', 'approver')}"
        " ORDER BY behind_s DESC, unread DESC NULLS LAST, partner, created_at, subscription_id LIMIT 200"
    ),
    page="subscriptions",
)
GRANTED = table(
    Words("谁可读取非公开事件", "Who may read what is not public"),
    Words(
        "有权接收非公开事件的合作方：获准的类型、密级与限定范围，旁为其订阅、实际可读的最高密级，以及所订而未获准的类型"
        "（不投递，只计数）。KAFKA 订阅即 Kafka 自身的用户。",
        "Partners that are cleared for more than public events: the types that they are granted, up to which classification,"
        " and to what that is narrowed; beside it each of their subscriptions, up to which classification it is given events,"
        " and types that it asks for without a grant: these are withheld. A subscription of KAFKA is a user of Kafka's own.",
    ),
    Sql(
        "SELECT partner, clearance, may_receive, narrowed_to, protocol, types, state, reads_up_to, beyond, withheld"
        f" FROM v_reader WHERE clearance <> 'public' AND {chosen(PARTNER)} AND {found('partner', 'may_receive', 'types')}"
        " ORDER BY beyond <> '' DESC, clearance DESC, partner, subscription_id LIMIT 200"
    ),
    page="partners",
)
UNGRANTED = stat(
    Words("所订未获准的订阅", "Subscriptions beyond their grants"),
    Words(
        "订了未获准类型的有效订阅，不限密级；这些事件不投递。",
        "Enabled subscriptions that ask for types which nobody granted, of whatever class; they do not get these.",
    ),
    Sql(f"SELECT count(*) AS subscriptions FROM v_reader WHERE beyond <> '' AND state = 'enabled' AND {chosen(PARTNER)}"),
    levels=NOTICE,
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
        Row(Words("权限", "Grants"), (GRANTED, UNGRANTED)),
    ),
    variables=(PARTNER, SEARCH),
    hours=6,
)
