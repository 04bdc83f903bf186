"""The pipeline: lag, delays, batches, timers, ledger, quarantine, breaker."""

from monitoring.dashboards.declared import (
    ALARM,
    NOTICE,
    STEP,
    TOPIC,
    Dashboard,
    Prom,
    Row,
    Sql,
    Words,
    chosen,
    lines,
    matching,
    stat,
    table,
)

_STEP, _PLACE = matching(STEP), matching(STEP, TOPIC)
_HERE = f"{chosen(STEP)} AND {chosen(TOPIC)}"

LAG = lines(
    Words("积压", "Lag"),
    Words("日志中尚未提交的记录；应回落到 0。", "Records in the log that are not committed; it should fall to 0."),
    Prom(f"step_topic:dujiang_lag_records:sum{_PLACE}", "{{step}} {{topic}}"),
    unit="short",
    page="way",
)
LAG_WORST = lines(
    Words("积压最多的分区", "The partitions furthest behind"),
    Words(
        "积压按分区逐个排空；一个分区独高时多为单一来源所致。",
        "A backlog drains partition by partition; one far above the others has one cause.",
    ),
    Prom(f"topk(5, dujiang_lag_records{_PLACE})", "{{step}} {{topic}} p{{partition}}"),
    unit="short",
    page="way",
)
ARRIVAL = lines(
    Words("从收到到生效的延迟", "Delay from accepted to applied"),
    Words("从 Kafka 记录时间到提交：中位、p95、p99。", "From the broker's record time to the commit: median, p95, p99."),
    Prom(f"step:dujiang_arrival_delay_seconds:p50_5m{_STEP}", "{{step}} p50"),
    Prom(f"step:dujiang_arrival_delay_seconds:p95_5m{_STEP}", "{{step}} p95"),
    Prom(f"step:dujiang_arrival_delay_seconds:p99_5m{_STEP}", "{{step}} p99"),
    unit="s",
    page="way",
)
EVENT_DELAY = lines(
    Words("从发生到生效的延迟", "Delay from happening to applied"),
    Words("含合作方报送的迟延：中位、p95、p99。", "With the publishers' own lateness: median, p95, p99."),
    *(
        Prom(
            f"histogram_quantile({share},"
            f" sum by (step, le) (rate(dujiang_event_delay_seconds_bucket{_STEP}[$__rate_interval])))",
            f"{{{{step}}}} {name}",
        )
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    ),
    unit="s",
    page="way",
)
COMMITTED = lines(
    Words("距上次提交", "Since the last commit"),
    Words("有积压时应很短；没有事情做时可以很长。", "Short while there is lag; long where there is nothing to do."),
    Prom(f"time() - max by (step) (dujiang_last_commit_timestamp_seconds{_STEP})", "{{step}}"),
    unit="s",
)
OUTCOMES = lines(
    Words("结果", "Outcomes"),
    Words(
        "每秒的生效、重复、过时、驳回、隔离、暂存。", "Applied, duplicate, superseded, rejected, quarantined, parked a second."
    ),
    Prom(f"sum by (outcome) (step_outcome:dujiang_events:rate5m{_STEP})", "{{outcome}}"),
    unit="cps",
)
LATE_SETTLED = lines(
    Words("迟到结清", "Parked records settled"),
    Words("先到后生效的事件，按结果。", "Events that came early and were settled later, by outcome."),
    Prom(f"sum by (step, outcome) (rate(dujiang_late_events_total{_PLACE}[$__rate_interval]))", "{{step}} {{outcome}}"),
    unit="cps",
)
DERIVED = lines(
    Words("派生事件", "Derived events"),
    Words("规则每秒发布的事件。", "Events that rules publish a second."),
    Prom(f"sum by (step) (rate(dujiang_derived_events_total{_STEP}[$__rate_interval]))", "{{step}}"),
    unit="cps",
)
BATCH = lines(
    Words("每批记录数", "Records a batch"),
    Words("平均值；越忙批越大。", "On average; the busier, the larger."),
    Prom(
        f"sum by (step) (rate(dujiang_batch_records_sum{_STEP}[$__rate_interval]))"
        f" / sum by (step) (rate(dujiang_batch_records_count{_STEP}[$__rate_interval]))",
        "{{step}}",
    ),
    unit="short",
)
PHASES = lines(
    Words("各阶段占用的时间", "Where the time goes"),
    Words(
        "每秒中有多少秒用于取数（poll，空闲）、决定（处理器）、等待上一批写完（wait）；另一线程同时发布（Kafka）与存储（PostgreSQL）。",
        "Seconds of each second: poll (idle), decide (processor), wait (for the batch before); beside them, in a thread of its"
        " own, publish (Kafka) and store (PostgreSQL). Much wait: the database is the brake; much decide: the processor.",
    ),
    Prom(f"sum by (step, phase) (rate(dujiang_batch_phase_seconds_sum{_STEP}[$__rate_interval]))", "{{step}} {{phase}}"),
    unit="percentunit",
)
CACHED = lines(
    Words("内存中的对象", "Entities in memory"),
    Words("上限为 batch.cached_entities_max。", "At most batch.cached_entities_max."),
    Prom(f"sum by (step) (dujiang_cached_entities{_STEP})", "{{step}}"),
    unit="short",
)
FAULTS = stat(
    Words("失败的尝试", "Failed tries"),
    Words("所示时段内失败而重试的批。", "Tries of a batch that failed within the time shown."),
    Prom(f"sum(increase(dujiang_faults_total{_STEP}[$__range])) or vector(0)"),
    levels=NOTICE,
)
PAUSED = stat(
    Words("熔断的分区", "Partitions paused"),
    Words("坏记录成批出现而暂停的分区。", "Partitions that the breaker paused since bad records came in a flood."),
    Prom(f"sum(dujiang_breaker_open{_PLACE}) or vector(0)"),
    levels=ALARM,
    page="way",
)
UNBALANCED = stat(
    Words("账目不平", "Unaccounted records"),
    Words("必须为 0；否则有丢失或重复，是平台的缺陷。", "Must be 0; anything else is a loss or a double count, and ours."),
    Prom(f"sum(abs(dujiang_ledger_unbalanced_records{_PLACE}))"),
    levels=ALARM,
    page="way",
)
TIMERS_LATE = stat(
    Words("过期未生效的定时器", "Timers late"),
    Words("到期一分钟以上仍未生效。", "Due for over a minute without effect."),
    Prom(f"sum(max by (step) (dujiang_timers_overdue{_STEP}))"),
    levels=ALARM,
)
QUARANTINED = stat(
    Words("新隔离的记录", "Newly quarantined"),
    Words("所示时段内进入隔离区的记录。", "Records set aside within the time shown."),
    Prom(f"sum(increase(dujiang_quarantined_total{_STEP}[$__range])) or vector(0)"),
    levels=NOTICE,
    page="quarantine",
)
OLDEST_PARKED = stat(
    Words("最早的暂存事件", "Oldest parked event"),
    Words(
        "等待前序事件最久者的时长，自其发生算起。",
        "Age of the event that has waited longest for an earlier one, since it happened.",
    ),
    Sql("SELECT max(age_s) AS age_s FROM v_parked_event"),
    unit="s",
    page="projects",
)
PARKED = table(
    Words("等得最久的暂存事件", "Parked events that wait longest"),
    Words(
        "等待前序事件的事件及其对象，最久的在前；时长自其发生算起。",
        "Which events wait for an earlier one, and of which entity; the longest first, since they happened.",
    ),
    Sql(
        "SELECT project_id, event_name, event_id, event_source, event_time, age_s FROM v_parked_event"
        " ORDER BY v_parked_event.event_time, project_id, event_id LIMIT 20"
    ),
)
TIMERS_FIRED = lines(
    Words("触发的定时器", "Timers fired"),
    Words("每秒发布的到期事件。", "Due events published a second."),
    Prom(f"sum by (step) (rate(dujiang_timers_fired_total{_STEP}[$__rate_interval]))", "{{step}}"),
    unit="cps",
)
TIMERS_NEXT = table(
    Words("等待的定时器", "Timers that wait"),
    Words(
        "按步骤计数及最早者已过期多久（负数为尚未到期）。",
        "How many by step, and how late the earliest is (below 0: not yet due).",
    ),
    Sql(
        "SELECT step, count(*) AS timers, extract(epoch FROM now() - min(due_at)) AS late_s FROM v_timer"
        f" WHERE {chosen(STEP)} GROUP BY step ORDER BY step"
    ),
    width=12,
)
BREAKERS = table(
    Words("熔断说明", "Why partitions are paused"),
    Words(
        "暂停的分区、从何位移起、为什么；平时为空。",
        "Which partitions the breaker paused, from where on, and why; empty in good times.",
    ),
    Sql(f"SELECT step, topic, partition, next_offset, message FROM v_breaker WHERE {_HERE} ORDER BY step, topic, partition"),
    width=12,
)
LEDGER = table(
    Words("账本", "Ledger"),
    Words(
        "每个步骤和主题的每条记录最终只有一种结果；不平必须为 0。",
        "Every record of a step and topic ends as one outcome; unaccounted must be 0.",
    ),
    Sql(
        "SELECT step, topic, passed, applied, duplicate, superseded, rejected, quarantined, gap, waiting, unaccounted, moved_at"
        f" FROM v_ledger WHERE {_HERE} ORDER BY step, topic"
    ),
    page="way",
)
ASSIGNED = lines(
    Words("分得的分区", "Partitions held"),
    Words(
        "每个步骤现有的分区数，各工作进程合计。",
        "Partitions that each step has, all workers together; the number of its topics' partitions.",
    ),
    Prom(f"sum by (step) (dujiang_assigned_partitions{_STEP})", "{{step}}"),
    unit="short",
)
REBALANCES = lines(
    Words("重新分配", "Rebalances"),
    Words(
        "五分钟内分区被重新分配的次数；进程启停时出现几次属正常。",
        "How often partitions were given anew within five minutes; a few when a worker comes or goes.",
    ),
    Prom(f"sum by (step) (increase(dujiang_rebalances_total{_STEP}[5m]))", "{{step}}"),
    unit="short",
)
DEPENDENCIES = lines(
    Words("Kafka 与 PostgreSQL", "Kafka and PostgreSQL"),
    Words(
        "各类进程最近一次尝试是否连通（1 为是）；多个进程取最差者。",
        "Whether the last try of each kind of process reached them (1: it did); of several processes the worst.",
    ),
    Prom("min by (job, dependency) (dujiang_dependency_up)", "{{job}} {{dependency}}"),
    unit="short",
)
DEPENDENCY_FAILURES = lines(
    Words("连不通的尝试", "Tries that failed to reach them"),
    Words(
        "每秒未能连通 Kafka 或 PostgreSQL 的尝试；重启数据库后会短暂出现。",
        "Tries a second that did not reach Kafka or PostgreSQL; a few come with every restart of theirs.",
    ),
    Prom("sum by (job, dependency) (rate(dujiang_dependency_failures_total[$__rate_interval]))", "{{job}} {{dependency}}"),
    unit="cps",
)
READING_AGE = lines(
    Words("读取副本的陈旧程度", "Age of the reading copies"),
    Words(
        "距副本所反映时刻的时间；一轮更新后休息其用时的一百二十倍（至多十分钟），明显超出时告警。",
        "How long ago the copies were true; a pass rests 120 times as long as it works, ten minutes at most, and well beyond"
        " that an alert comes.",
    ),
    Prom("time() - max by (copy) (dujiang_reading_copy_timestamp_seconds > 0)", "{{copy}}"),
    unit="s",
)
READINGS = table(
    Words("读取副本", "Reading copies"),
    Words(
        "列表和计数所读的副本有多旧、上一轮更新用了多久（秒）；旧得多于上一轮用时的数倍时，更新已停。",
        "How old the copies are that lists and counts read, and how long the last pass took; far older: passes stand still.",
    ),
    Sql("SELECT name AS reading_copy, age_s, took_s FROM v_reading WHERE isfinite(finished_at) ORDER BY name"),
    width=12,
)

DASHBOARD = Dashboard(
    "dujiang-pipeline",
    Words("处理管线", "Pipeline"),
    Words("积压、延迟、批、账本与隔离。", "Lag, delays, batches, ledger and quarantine."),
    (
        Row(Words("要紧", "What matters"), (UNBALANCED, PAUSED, FAULTS, QUARANTINED, TIMERS_LATE, OLDEST_PARKED)),
        Row(Words("积压与延迟", "Lag and delay"), (LAG, LAG_WORST, ARRIVAL, EVENT_DELAY, PARKED)),
        Row(Words("批", "Batches"), (OUTCOMES, PHASES, BATCH, COMMITTED)),
        Row(Words("规则与内存", "Rules and memory"), (DERIVED, LATE_SETTLED, CACHED, TIMERS_FIRED)),
        Row(
            Words("定时器、熔断、账本与读取副本", "Timers, breaker, ledger and copies"),
            (TIMERS_NEXT, BREAKERS, LEDGER, READINGS, READING_AGE),
        ),
        Row(Words("依赖", "What it stands on"), (DEPENDENCIES, DEPENDENCY_FAILURES, ASSIGNED, REBALANCES)),
    ),
    (STEP, TOPIC),
    hours=6,
)
