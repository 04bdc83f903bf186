"""All that the console says, in English and Chinese. A word that is not here cannot be said: `Speech` refuses it."""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from gateway.console.vocabulary.alerts import SILENCES
from gateway.console.vocabulary.calls import CALLS
from gateway.console.vocabulary.charts import CHARTS
from gateway.console.vocabulary.reasons import REASONS
from gateway.console.vocabulary.scores import SCORES
from gateway.console.vocabulary.subscriptions import SUBSCRIPTIONS
from gateway.console.vocabulary.ways_out import WAYS_OUT
from gateway.console.vocabulary.works import WORKS
from gateway.languages import Language, Text

WORDS: Final[dict[str, Text]] = {
    name: Text(en, zh)
    for name, en, zh in (
        # the house
        ("console", "Console", "控制台"),
        ("skip", "Skip to content", "跳到正文"),
        ("pages", "Pages", "页面"),
        ("now", "Now", "此刻"),
        ("projects", "Projects", "项目"),
        ("alerts", "Alerts", "告警"),
        ("quarantine", "Quarantine", "隔离区"),
        ("way", "Data's way", "数据去向"),
        ("partners", "Partners", "合作方"),
        ("search", "Search", "搜索"),
        ("search_for", "Id, name or organisation", "编号、名称或单位"),
        ("other_language", "中文", "English"),
        ("dark", "Dark", "深色"),
        ("light", "Light", "浅色"),
        ("sign_in", "Sign in", "登录"),
        ("sign_out", "Sign out", "退出"),
        ("name", "Name", "用户名"),
        ("password", "Password", "密码"),
        ("sign_in_wrong", "Name or password is wrong. Five wrong tries lock a name for 15 minutes.",
         "用户名或密码不正确。连续输错五次，该用户锁定 15 分钟。"),
        ("sign_in_locked", "This name is locked until {until} after too many wrong passwords. A steward can give a new one:"
         " dujiang users password.", "密码多次输错，该用户已锁定至 {until}。管理员可用 dujiang users password 重设密码。"),
        ("sign_in_busy", "Too many people are signing in at once. Please try again in a moment.",
         "登录人数过多，请稍后再试。"),
        ("sign_in_motto", "Events in, status out; nothing lost, nothing counted twice.", "事件入，状态出；不丢失，不重计。"),
        ("refused", "Not for your role", "无权查看"),
        ("refused_why", "Your role is “{role}”. A steward can give you another: dujiang users role.",
         "您的角色是“{role}”。管理员可用 dujiang users role 更改。"),
        ("missing_why", "No {what} with the id {key}. It may not have arrived yet; search finds what has.",
         "没有编号为 {key} 的{what}。可能尚未到达，可用搜索查看已到达的内容。"),
        ("away", "The database does not answer", "数据库没有应答"),
        ("away_why", "What is shown may be old; the console tries again by itself.", "所示内容可能已旧；控制台会自动重试。"),
        ("as_of", "as of {age} ago", "{age}前的数据"),
        ("more", "Only the first {count} are shown. Narrow the filter to see others.",
         "仅显示前 {count} 条，请缩小筛选范围。"),
        ("nothing", "Nothing matches.", "没有符合条件的内容。"),
        ("all", "All", "全部"),
        ("filter", "Filter", "筛选"),
        ("show", "Show", "显示"),
        ("ago", "{age} ago", "{age}前"),
        ("in_time", "in {age}", "{age}后"),
        ("second", "{n} s", "{n} 秒"),
        ("minute", "{n} min", "{n} 分钟"),
        ("hour", "{n} h", "{n} 小时"),
        ("day", "{n} d", "{n} 天"),
        ("none", "none", "无"),
        # roles
        ("role.viewer", "viewer", "查看者"),
        ("role.operator", "operator", "值班员"),
        ("role.steward", "steward", "数据管理员"),
        ("role.partner", "partner", "合作方"),
        # now
        ("now.title", "Now", "此刻"),
        ("needs_me", "What needs me", "待我处理"),
        ("needs_nothing", "Nothing waits for a person.", "没有需要人工处理的事项。"),
        ("need.late_alerts", "alerts nobody took in time", "告警超时未确认"),
        ("need.mine", "alerts assigned to you", "指派给您的告警"),
        ("need.open_alerts", "alerts not acknowledged", "告警待确认"),
        ("need.overdue", "projects overdue", "项目逾期"),
        ("need.at_risk", "projects due within 30 days, unreported", "项目 30 天内到期未报告"),
        ("need.quarantined", "records in quarantine", "隔离区记录待修复"),
        ("need.paused", "partitions paused by a flood of bad records", "分区因大量错误记录暂停"),
        ("need.unaccounted", "records unaccounted for", "记录账目不平"),
        ("need.lag", "records not processed yet", "记录尚未处理"),
        ("need.calls", "calls close within 14 days", "征集 14 天内截止"),
        ("since", "since {age}", "已等 {age}"),
        ("by_duty", "What happens, by duty", "各职责的事件"),
        ("by_duty_note", "Events a second over the last {minutes} minutes, as the broker recorded them.",
         "最近 {minutes} 分钟每秒事件数（以消息服务器记录时间计）。"),
        ("by_partner", "By publisher", "各发布方"),
        ("by_partner_note", "What came in from outside within {minutes} minutes; the busiest first.",
         "最近 {minutes} 分钟来自外部的事件，最多者在前。"),
        ("latest", "Latest events", "最新事件"),
        ("publisher", "Publisher", "发布方"),
        ("duty", "Duty", "职责"),
        ("events", "Events", "事件数"),
        ("rate", "A second", "每秒"),
        ("last_heard", "Last heard", "最近收到"),
        ("duty.1", "Plans and policies", "规划与政策"),
        ("duty.2", "Innovation", "科技创新"),
        ("duty.3", "Infrastructure", "信息基础设施"),
        ("duty.4", "Public services", "公共服务"),
        ("duty.5", "Platform", "平台"),
        ("quiet", "No event within {minutes} minutes.", "最近 {minutes} 分钟没有事件。"),
        # projects
        ("projects.title", "Projects", "项目"),
        ("by_state", "By state", "按状态"),
        ("state", "State", "状态"),
        ("claim", "Claim", "标记"),
        ("claim.undecided", "undecided", "待定"),
        ("claim.overdue", "overdue", "逾期"),
        ("claim.at_risk", "at risk", "有风险"),
        ("claim.silent", "silent", "久无报告"),
        ("claim.underspent", "underspent", "支出偏低"),
        ("claim.parked", "events parked", "有暂存事件"),
        ("overdue_days", "{days} d overdue", "逾期 {days} 天"),
        ("project", "Project", "项目"),
        ("lead", "Lead", "承担单位"),
        ("programme", "Programme", "计划"),
        ("call", "Call", "征集"),
        ("ends", "Ends", "到期"),
        ("closes", "Closes", "截止"),
        ("paid", "Paid", "已拨付"),
        ("contracted", "Contracted", "合同额"),
        ("moved", "Last change", "最近变动"),
        ("money", "Money", "经费"),
        ("milestones", "Milestones", "里程碑"),
        ("milestone", "Milestone", "里程碑"),
        ("due", "Due", "截止"),
        ("days_left", "Days left", "剩余天数"),
        ("term", "Term", "执行期"),
        ("contract_no", "Contract no.", "合同号"),
        ("register", "Outside register", "外部登记"),
        ("no_milestones", "The contract names no milestones.", "合同未列里程碑。"),
        ("story", "Why it is so", "来龙去脉"),
        ("story_note", "Each event in the order of the log, and what the rules made of it.",
         "按日志顺序列出每个事件，以及规则对它的判定。"),
        ("story_agrees", "Told anew from {count} events by today's rules: the same state as stored.",
         "按现行规则由 {count} 个事件重新推演，与存储的状态一致。"),
        ("story_differs",
         "Told anew from {count} events the state is “{told}”, stored is “{stored}”: the history may lag behind,"
         " or the rules have changed since.",
         "按现行规则由 {count} 个事件推演得“{told}”，存储为“{stored}”：历史可能尚未写完，或规则已变更。"),
        ("story_cut", "The story has more than {count} events; only the first are told.",
         "事件超过 {count} 个，仅推演最前面的部分。"),
        ("happened", "Happened", "发生"),
        ("recorded", "Recorded", "记录"),
        ("event", "Event", "事件"),
        ("contract", "Contract", "契约"),
        ("rule", "Rule", "规则"),
        ("effect", "Effect", "结果"),
        ("place", "Place in the log", "日志位置"),
        ("details", "Details", "详情"),
        ("data", "Data", "数据"),
        ("parked_until", "{id} had waited for this: {outcome}", "{id} 此前在等待：{outcome}"),
        ("timer_first", "The timer {name} had come due first, at {day}:", "计时器 {name} 先于 {day} 到期："),
        ("nothing_changed", "nothing changed", "未改变任何内容"),
        # alerts
        ("alerts.title", "Infrastructure alerts", "基础设施告警"),
        ("alert", "Alert", "告警"),
        ("severity", "Severity", "级别"),
        ("condition", "Condition", "条件"),
        ("handling", "Handling", "处置"),
        ("suppression", "Suppression", "抑制"),
        ("age", "Age", "时长"),
        ("assignee", "Assigned to", "负责人"),
        ("monitor", "Monitor", "监控源"),
        ("raised", "Raised", "发生"),
        ("last_seen", "Last seen", "最近上报"),
        ("ended", "Ended", "结束"),
        ("episodes", "Episodes", "发生次数"),
        ("repeats", "Repeats", "重复上报"),
        ("reopened", "Re-opened", "重新打开"),
        ("show.waiting", "Waiting", "待处理"),
        ("show.mine", "Mine", "我的"),
        ("show.all", "All", "全部"),
        ("late", "late", "超时"),
        ("act_by", "acknowledge {when}", "应于{when}确认"),
        ("acknowledge", "Acknowledge", "确认"),
        ("close", "Close", "关闭"),
        ("close_forced", "Close although it fires", "仍在告警，强制关闭"),
        ("assign", "Assign", "指派"),
        ("assign_to", "To", "指派给"),
        ("comment", "Comment", "备注"),
        ("say", "Add comment", "添加备注"),
        ("reason", "Reason", "原因"),
        ("reason_missing", "Say why: it goes on record.", "请填写原因，将记录在案。"),
        ("deeds", "What people did", "人工操作记录"),
        ("no_deeds", "Nobody has done anything yet.", "暂无操作。"),
        ("handle", "Handle", "处置"),
        ("silence_note", "A silenced alert goes on as before, and nobody is pressed; maintenance windows do not exist yet.",
         "被静默的告警照常更新，但不催办；维护窗口尚未提供。"),
        ("done", "Done and on record.", "已完成并记录在案。"),
        ("deed.acknowledge", "acknowledged it", "确认"),
        ("deed.close", "closed it", "关闭"),
        ("deed.assign", "assigned it to {to}", "指派给 {to}"),
        ("deed.comment", "commented", "备注"),
        ("deed.replay", "replayed it as it was", "原样重放"),
        ("deed.repair", "repaired and replayed it", "修复并重放"),
        ("deed.park", "set it aside", "搁置"),
        # quarantine
        ("quarantine.title", "Quarantine", "隔离区"),
        ("by_cause", "By cause", "按原因"),
        ("by_cause_note",
         "Records that can never work as they are. Nothing of them is lost: repair and replay, or set aside.",
         "按现状无法处理的记录。记录不会丢失：可修复后重放，或搁置。"),
        ("mend_note",
         "Yours that cannot work as they are. Correct one where it comes from and publish it again under an id of its own;"
         " here only a steward of the Bureau repairs. What is kept stays as it came.",
         "贵方按现状无法处理的记录。请在源头更正后以新的编号重新发布；此处仅本局数据管理员可修复。原记录保持原样。"),
        ("records", "Records", "记录"),
        ("record", "Record", "记录"),
        ("cause", "Cause", "原因"),
        ("first_failed", "First failed", "首次失败"),
        ("unreadable_source", "(cannot be read)", "（无法识别）"),
        ("show.settled", "Settled", "已处理"),
        ("quarantine_empty", "Nothing waits. Every record that came could be used.", "没有待处理记录，所有记录均可使用。"),
        ("error_at", "What is wrong", "错误所在"),
        ("pointer", "At", "位置"),
        ("message", "Message", "说明"),
        ("attempts", "Attempts", "次数"),
        ("as_it_came", "As it came", "原始内容"),
        ("bytes_hidden", "Its content is shown to stewards and operators.", "内容仅值班员和数据管理员可见。"),
        ("repair", "Repair", "修复"),
        ("repair_note",
         "Edit the event, have it judged by today's contract, then publish it again. The old record stays as it came.",
         "修改事件，按现行契约校验，再重新发布。原记录保持原样。"),
        ("check", "Check", "校验"),
        ("check_good", "Good: {type} for {key}. It can be replayed.", "通过：{type}，对象 {key}，可以重放。"),
        ("check_bad", "Still refused:", "仍被拒绝："),
        ("replay", "Publish again", "重新发布"),
        ("replayed", "Published to {topic}; the old record is settled.", "已发布到 {topic}，原记录已结案。"),
        ("park", "Set aside", "搁置"),
        ("settled_already", "This record is settled: {state}.", "此记录已结案：{state}。"),
        ("not_text", "The bytes are no text in UTF-8; shown as hexadecimal. A repair starts from an empty event.",
         "内容不是 UTF-8 文本，以十六进制显示；修复需重写事件。"),
        ("held.waiting", "waiting", "待处理"),
        ("held.replayed", "replayed", "已重放"),
        ("held.parked", "set aside", "已搁置"),
        ("line", "line {line}", "第 {line} 行"),
        # way
        ("way.title", "Data's way", "数据去向"),
        ("way_note", "From who sends to what is stored and who receives. On arrows: records a second; red: what waits"
         " where a step or a subscription is behind.",
         "从发布方到存储与接收单位。箭头上为每秒记录数；红色为步骤或订阅落后时等待处理的记录数。"),
        ("publishers", "Publishers", "发布方"),
        ("topics", "Topics", "主题"),
        ("steps", "Steps", "处理步骤"),
        ("stores", "Stored in", "存储"),
        ("topic", "Topic", "主题"),
        ("step", "Step", "步骤"),
        ("lag", "Lag", "积压"),
        ("applied", "Applied", "生效"),
        ("duplicate", "Duplicate", "重复"),
        ("superseded", "Superseded", "过时"),
        ("rejected", "Rejected", "驳回"),
        ("quarantined", "Quarantined", "隔离"),
        ("waiting", "Parked", "暂存"),
        ("unaccounted", "Unaccounted", "不平"),
        ("account", "The account", "账目"),
        ("account_note", "Every record that passed ended as exactly one of these; unaccounted must be 0.",
         "每条已过记录只归入其中一类；“不平”必须为 0。"),
        ("partitions", "{n} partitions", "{n} 个分区"),
        ("partition", "Partition", "分区"),
        ("end", "End", "末尾"),
        ("kept_for", "Kept", "保留"),
        ("forever", "forever", "永久"),
        ("latest_of_key", "the latest of each key", "每键最新一条"),
        ("class.public", "public", "公开"),
        ("class.internal", "internal", "内部"),
        ("class.restricted", "restricted", "受限"),
        ("owner", "Owner", "归口"),
        ("key", "Key", "键"),
        ("feeds", "Read by", "读取者"),
        ("reads_from", "Reads", "读取"),
        ("figures", "Delay, batches, faults", "延迟、批次与故障"),
        ("in_grafana", "in Grafana", "在 Grafana 中查看"),
        ("paused", "Paused partitions", "已暂停分区"),
        ("kafka_away", "Kafka does not answer: lag is not known.", "Kafka 没有应答：积压未知。"),
        ("not_begun", "has not begun", "尚未开始"),
        # search
        ("search.title", "Search", "搜索"),
        ("search_hint", "Type at least two characters of an id, a title or an organisation; an id in full is quickest.",
         "请输入编号、名称或单位的至少两个字；完整编号最快。"),
        ("search_broad", "Too many rows to look through in time. Give the id in full.",
         "数据过多，未能及时查完。请输入完整编号。"),
        ("found", "Found", "搜索结果"),
        ("kind", "Kind", "类别"),
        ("title_or_id", "Title", "名称"),
        ("organisation", "Organisation", "单位"),
        ("found.project", "Project", "项目"),
        ("found.call", "Call", "征集"),
        ("found.alert", "Alert", "告警"),
        ("found.partner", "Partner", "合作方"),
        ("found.subscription", "Subscription", "订阅"),
        ("found.event", "Event", "事件"),
        ("found.source", "Source", "来源"),
        ("found.source_day", "In {hours} h: {taken} accepted, {duplicate} sent again, {refused} refused",
         "{hours} 小时内：接受 {taken}，重复 {duplicate}，拒绝 {refused}"),
        ("found.record", "Quarantined record", "隔离记录"),
        ("thing.user", "user", "用户"),
        ("thing.record", "record", "记录"),
        # partners
        ("partners.title", "Partners", "合作方"),
        ("partner", "Partner", "合作方"),
        ("rights", "Rights", "权限"),
        ("sources", "Speaks as", "来源标识"),
        ("limits", "Limits", "限额"),
        ("tokens", "Tokens in force", "有效令牌"),
        ("credentials", "Tokens and keys in force", "有效令牌与密钥"),
        ("credentials_none", "None: it cannot be let in until it gets a token or registers a key.",
         "尚无：需签发令牌或登记密钥后方可接入。"),
        ("credential.token", "Token", "令牌"),
        ("credential.key", "Public key", "公钥"),
        ("credential_name", "Named", "名称"),
        ("limited_to", "Limited to", "限于"),
        ("added", "Since", "起始"),
        ("expires_one", "Expires", "到期"),
        ("expires", "Last expires", "最晚到期"),
        ("per_second_day", "{second} a second, {day} a day", "每秒 {second}，每日 {day}"),
        ("partners_none", "No partner is registered: dujiang partners add registers one.",
         "尚未登记合作方，可用 dujiang partners add 登记。"),
        ("last_minutes", "Last {minutes} minutes", "最近 {minutes} 分钟"),
        ("promise", "Promised rhythm", "约定频率"),
        ("promise_every", "every {span}", "每 {span}"),
        ("silent_promise", "silent for longer than promised", "超过约定未收到"),
        ("own_quarantine", "Its records in quarantine", "其隔离区记录"),
        # values of the rules
        ("state.", "no application yet", "尚无申报"),
        ("state.applied", "applied", "已申报"),
        ("state.returned", "returned", "已退回"),
        ("state.under_review", "under review", "评审中"),
        ("state.reserve", "on reserve", "备选"),
        ("state.approved", "approved", "已立项"),
        ("state.rejected", "rejected", "未立项"),
        ("state.withdrawn", "withdrawn", "已撤回"),
        ("state.contracted", "contracted", "已签约"),
        ("state.executing", "executing", "执行中"),
        ("state.suspended", "suspended", "已中止"),
        ("state.acceptance_pending", "acceptance due", "待申请验收"),
        ("state.in_acceptance", "in acceptance", "验收中"),
        ("state.accepted", "accepted", "已通过验收"),
        ("state.conditionally_accepted", "accepted with conditions", "有条件通过"),
        ("state.acceptance_failed", "acceptance failed", "验收未通过"),
        ("state.closed", "closed", "已结题"),
        ("state.terminated", "terminated", "已终止"),
        ("state.revoked", "revoked", "已撤销"),
        ("state.archived", "archived", "已归档"),
        ("phase.forthcoming", "forthcoming", "即将开放"),
        ("phase.open", "open", "开放"),
        ("phase.closing_soon", "closing soon", "即将截止"),
        ("phase.closed", "closed", "已截止"),
        ("phase.cancelled", "cancelled", "已取消"),
        ("milestone.planned", "planned", "计划中"),
        ("milestone.reported", "reported", "已报告"),
        ("milestone.accepted", "accepted", "已通过"),
        ("milestone.returned", "returned", "已退回"),
        ("severity.critical", "critical", "紧急"),
        ("severity.high", "high", "高"),
        ("severity.warning", "warning", "警告"),
        ("severity.low", "low", "低"),
        ("severity.info", "info", "提示"),
        ("condition.firing", "firing", "告警中"),
        ("condition.resolved", "resolved", "已恢复"),
        ("condition.expired", "expired", "失去消息"),
        ("handling.open", "open", "未处置"),
        ("handling.acknowledged", "acknowledged", "已确认"),
        ("handling.closed", "closed", "已关闭"),
        ("suppression.none", "none", "无"),
        ("outcome.applied", "applied", "生效"),
        ("outcome.parked", "parked: too early", "暂存：来得过早"),
        ("outcome.rejected", "rejected", "驳回"),
        ("outcome.superseded", "superseded", "过时"),
        ("outcome.duplicate", "duplicate", "重复"),
        ("outcome.unreadable", "contract unknown", "契约未知"),
        *CALLS,
        *CHARTS,
        *SILENCES,
        *REASONS,
        *SCORES,
        *SUBSCRIPTIONS,
        *WAYS_OUT,
        *WORKS,
    )
}  # fmt: skip


class Speech:
    """One reader's language and clock."""

    def __init__(self, language: Language, zone: ZoneInfo, now: datetime) -> None:
        self.language = language
        self.zone = zone
        self.now = now

    def __call__(self, word: str, **values: object) -> str:
        """The word, with values filled in. Raises KeyError for one that is not in the table."""
        return WORDS[word].in_language(self.language).format(**values)

    def value(self, family: str, value: str | None) -> str:
        """A value of the rules; a newer one than the table knows is shown as it is."""
        known = WORDS.get(f"{family}.{value or ''}")
        return known.in_language(self.language) if known else (value or "")

    def span(self, seconds: float) -> str:
        """A length of time in its largest whole unit."""
        seconds = abs(seconds)
        for unit, length in (("day", 172_800.0), ("hour", 7_200.0), ("minute", 120.0)):
            if seconds >= length:
                return self(unit, n=f"{seconds / _UNIT_S[unit]:,.0f}")
        return self("second", n=f"{seconds:.0f}")

    def ago(self, instant: datetime) -> str:
        """How long ago, or in how long."""
        seconds = (self.now - instant).total_seconds()
        return self("ago" if seconds >= 0 else "in_time", age=self.span(seconds))

    def instant(self, instant: datetime) -> str:
        """To the second, in the reader's zone."""
        return instant.astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def day(self, day: date | None) -> str:
        return day.isoformat() if day else ""


_UNIT_S: Final = {"day": 86_400.0, "hour": 3_600.0, "minute": 60.0}


def number(value: float) -> str:
    """With separators of thousands."""
    return f"{value:,.0f}"


def rate(value: float) -> str:
    """A number a second: small ones with a digit more."""
    if 0 < value < 0.05:
        return "<0.1"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
