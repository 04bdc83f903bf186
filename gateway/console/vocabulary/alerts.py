"""Words of silences."""

from typing import Final

SILENCES: Final[tuple[tuple[str, str, str], ...]] = (
    ("suppression.silenced", "silenced", "已静默"),
    ("silence", "Silence", "静默"),
    ("silence_for", "For", "时长"),
    ("silence_why", "Why quiet", "静默原因"),
    ("silence_shown", "Silence those shown", "静默所示告警"),
    ("unsilence", "End silence", "结束静默"),
    ("silenced_until", "until {when}", "至 {when}"),
    ("silence_days_max", "A silence has at most {days} days.", "静默最长 {days} 天。"),
    ("silenced_count", "{count} alerts are silenced.", "已静默 {count} 条告警。"),
    ("silence_nothing", "The list shows no alert that fires or waits.", "列表中没有可静默的告警。"),
    ("show.silenced", "Firing, silenced", "静默中触发"),
    ("hours", "{n} h", "{n} 小时"),
    ("days", "{n} d", "{n} 天"),
    ("deed.silence", "silenced it until {until}", "静默至 {until}"),
    ("deed.unsilence", "ended the silence", "结束静默"),
)  # fmt: skip
