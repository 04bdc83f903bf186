"""Words of long work."""

from typing import Final

WORKS: Final[tuple[tuple[str, str, str], ...]] = (
    ("works", "Works", "长任务"),
    ("works.title", "Long work", "长任务"),
    ("work", "Work", "任务"),
    ("works_none", "No long work yet: dujiang ingest begins one.", "尚无长任务，可由 dujiang ingest 开始。"),
    ("works_note", "Cancelling ends a work after the batch under way; what is booked stays, and the same command"
     " goes on from there. Cancelling a backfill pauses its subscription; resumed, it goes on from there.",
     "取消会在当前批次完成后结束任务；已入账的保留，再次执行同一命令可继续。取消回填会暂停其订阅，恢复后从该处继续。"),
    ("started_by", "By", "执行者"),
    ("started", "Began", "开始"),
    ("of_about", "{done} of about {total}", "{done} / 约 {total}"),
    ("cancel", "Cancel", "取消"),
    ("cancel_which", "Cancel {work}", "取消 {work}"),
    ("cancel_asked", "{by} asked it to stop", "{by} 已请求停止"),
    ("work_over", "This work is over.", "该任务已结束。"),
    ("work_state.running", "goes on", "进行中"),
    ("work_state.done", "done", "已完成"),
    ("work_state.cancelled", "cancelled", "已取消"),
    ("work_state.failed", "failed", "失败"),
    ("work_state.waiting", "waits: its subscription is not enabled", "等待：订阅未启用"),
    ("work_state.lost", "no sign of life", "失去响应"),
    ("work.ingest", "Import", "导入"),
    ("work.quarantine_replay", "Replay of the quarantine", "隔离区重放"),
    ("work.delivery_replay", "Replay of deliveries", "投递重放"),
    ("work.backfill", "Backfill of a subscription", "订阅回填"),
    ("work.publish", "Publishing of a file", "发布文件"),
    ("work.timers_advance", "Firing of timers", "触发定时器"),
    ("deed.cancel", "asked it to stop", "请求停止"),
)  # fmt: skip
