"""One entity's story: every event about it and every refusal. Tables of the other dashboards lead here."""

from monitoring.dashboards.declared import Dashboard, Row, Sql, Variable, Words, table

EVENTS = table(
    Words("经过", "Events"),
    Words("关于该对象的每条事件，最新的在前。", "Every event about the entity, the latest first."),
    Sql(
        "SELECT event_time, event_type, event_source, event_id, recorded_at, topic, partition, record_offset FROM v_event"
        " WHERE subject = ${subject:sqlstring} ORDER BY event_time DESC, recorded_at DESC LIMIT 500"
    ),
)
REFUSALS = table(
    Words("被驳回的事件", "Events refused"),
    Words("规则驳回了什么、为什么、当时的状态。", "What the rules refused, why, and in which state."),
    Sql(
        "SELECT event_time, event_type, event_source, event_id, reason, state FROM v_rejection"
        " WHERE subject = ${subject:sqlstring} ORDER BY event_time DESC LIMIT 500"
    ),
)

DASHBOARD = Dashboard(
    "dujiang-story",
    Words("一个对象的经过", "One entity's story"),
    Words("状态为何如此：背后的每条事件。", "Why a state is as it is: every event behind it."),
    (Row(Words("事件", "Events"), (EVENTS, REFUSALS)),),
    (Variable("subject", Words("对象编号", "Entity id")),),
    hours=24 * 365,
)
