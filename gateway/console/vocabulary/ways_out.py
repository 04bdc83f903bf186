"""Words of the ways out."""

from typing import Final

WAYS_OUT: Final[tuple[tuple[str, str, str], ...]] = (
    ("out", "Way out", "出口"),
    ("outs", "Ways out", "出口"),
    ("outs_note", "A second: deliveries that were acknowledged within the last {seconds} s. Waiting: numbered, not settled."
     " Unread: records in the log before which an enabled subscription stands, whether its filters want them or not.",
     "每秒：最近 {seconds} 秒内已确认的投递。待投递：已编号而未了结。未读：启用的订阅在日志中尚未读过的记录，"
     "不论其筛选条件是否选中。"),
    ("agencies", "Agencies", "接收单位"),
    ("out.HTTP", "Webhooks", "Webhook 推送"),
    ("out.MQTT5", "MQTT brokers", "MQTT 服务器"),
    ("out.S3", "Object stores (S3)", "对象存储（S3）"),
    ("out.SSE", "Streams (SSE)", "事件流（SSE）"),
    ("out.PULL", "Pull by cursor", "游标拉取"),
    ("out.KAFKA", "Kafka itself", "直连 Kafka"),
    ("out_subscriptions", "Subscriptions: {count}", "订阅：{count}"),
    ("out_partners_count", "Partners: {count}", "合作方：{count}"),
    ("out_rate", "Acknowledged a second", "每秒确认"),
    ("out_lag", "Unread", "未读"),
    ("out_well", "no trouble", "无异常"),
    ("out_failing", "{count} failing", "{count} 个端点失败"),
    ("out_disabled", "{count} disabled", "{count} 个已停用"),
    ("out_with_letters", "{count} with dead letters", "{count} 个有死信"),
    ("out_pending", "{count} not agreed yet", "{count} 个待同意"),
    ("out_paused", "{count} paused", "{count} 个已暂停"),
    ("out_expired", "{count} expired", "{count} 个已到期"),
    ("failing_now", "Failing", "失败"),
    ("disabled_now", "Disabled", "已停用"),
    ("out_letters", "waiting", "待处理"),
    ("out_partners", "Partners whose deliveries fare worst", "投递最差的合作方"),
    ("out_worst", "Subscriptions, the worst first", "订阅，最差者在前"),
    ("out_worst_of", "Subscriptions of {partner}, the worst first", "{partner} 的订阅，最差者在前"),
    ("out_everybody", "Of all partners", "全部合作方"),
    ("out_more", "The {count} that fare worst.", "仅显示最差的 {count} 个。"),
)  # fmt: skip
