"""Words of calls for proposals."""

from typing import Final

CALLS: Final[tuple[tuple[str, str, str], ...]] = (
    ("calls", "Calls", "征集"),
    ("calls.title", "Calls for proposals", "项目征集"),
    ("opens", "Opens", "开放"),
    ("budget", "Budget", "预算"),
    ("next_closes", "next closes {when}", "最近截止：{when}"),
    ("phase.", "nothing known yet", "尚无信息"),
)  # fmt: skip
