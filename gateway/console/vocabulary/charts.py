"""Words of charts."""

from typing import Final

CHARTS: Final[tuple[tuple[str, str, str], ...]] = (
    ("chart_part", "{count} {title}", "{title} {count}"),
    ("chart_words", "{title}: {totals}. The most is {count}, {name}. A table follows.",
     "{title}：{totals}。最多为 {count}，{name}。数据见下表。"),
    ("chart_none", "Nothing in this time.", "该时段没有数据。"),
    ("chart_table", "As a table", "查看数据表"),
    ("day_before", "the day before", "前一日同时段"),
    ("events_day", "Events by the hour", "每小时事件"),
    ("events_day_note", "Of 24 hours; the last one is not over. A copy, seconds old, minutes while a flood is worked off.",
     "最近 24 小时；最后一小时尚未结束。数据来自副本，延迟数秒，事件激增时为数分钟。"),
    ("causes_day", "What came into the quarantine, by the hour", "每小时进入隔离区"),
    ("causes_day_note", "Of 24 hours, what was settled since, too; the last hour is not over. Records whose publisher"
     " cannot be read are not counted.",
     "最近 24 小时，含已处理的记录；最后一小时尚未结束。不含无法识别发布方的记录。"),
    ("causes_other", "other causes", "其他原因"),
    ("alerts_day", "Alerts raised and ended, by the hour", "每小时告警的发生与结束"),
    ("alerts_day_note", "Of 24 hours; the last one is not over. An alert that came again counts at its latest time.",
     "最近 24 小时；最后一小时尚未结束。重复发生的告警按最近一次计。"),
    ("alerts_grave", "raised: critical or high", "发生：紧急或高"),
    ("alerts_other", "raised: others", "发生：其他"),
    ("alerts_ended", "ended", "结束"),
)  # fmt: skip
