"""Words of partners' scorecards."""

from typing import Final

SCORES: Final[tuple[tuple[str, str, str], ...]] = (
    ("score", "Last {hours} hours", "最近 {hours} 小时"),
    ("score_note", "Counted by the hour, some seconds old. What the gateway refuses at once is not in it: its answer says why.",
     "按小时统计，延迟数秒。网关当场拒绝的不计入，原因见其应答。"),
    ("score.accepted", "Events accepted", "已接受事件"),
    ("score.refused", "Rejected or quarantined", "驳回或隔离"),
    ("score.share", "{number}, {share}", "{number}，{share}"),
    ("score.duplicates", "Sent again", "重复发送"),
    ("score.late_half", "Half of them arrived", "半数到达"),
    ("score.late_most", "95 of 100 arrived", "95% 到达"),
    ("score.within", "within {span}", "{span}内"),
    ("score.later", "later than {span}", "超过 {span}"),
    ("score.promise", "Promise kept", "守约情况"),
    ("score.kept", "in {kept} of {periods} periods", "{periods} 个周期中的 {kept} 个"),
    ("score.what", "What became of them", "结果"),
    ("score.rejected", "rejected by a rule", "规则驳回"),
    ("score.quarantined", "quarantined", "已隔离"),
    ("score.causes", "Why events were refused", "拒绝原因"),
    ("score.causes_none", "Nothing was rejected or quarantined.", "没有驳回或隔离。"),
    ("score.refused_share", "Refused, {hours} h", "拒绝率，{hours} 小时"),
    ("score.events", "Accepted, {hours} h", "已接受，{hours} 小时"),
    ("score.late", "95 of 100 arrive", "95% 到达"),
    ("trend", "The last {days} days", "最近 {days} 天"),
    ("trend.accepted", "accepted", "已接受"),
    ("trend.refused", "rejected or quarantined", "驳回或隔离"),
    ("trend.duplicate", "sent again", "重复发送"),
    ("trend_day", "{day}: {accepted} accepted, {refused} refused, {duplicates} sent again",
     "{day}：接受 {accepted}，拒绝 {refused}，重复 {duplicates}"),
)  # fmt: skip
