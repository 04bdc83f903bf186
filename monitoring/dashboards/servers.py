"""What everything stands on: Kafka's brokers and replicas, PostgreSQL's connections, transactions, room; and who reads it."""

from monitoring.dashboards.declared import ALARM, GRID, NOTICE, Dashboard, Prom, Row, Words, lines, stat

OFFLINE = stat(
    Words("离线分区", "Offline partitions"),
    Words("没有主副本的分区：不能写入也不能读取。", "Partitions without a leader: nothing can be written to them or read."),
    Prom("max(dujiang_kafka_offline_partitions)"),
    levels=ALARM,
)
UNDER_REPLICATED = stat(
    Words("副本不足的分区", "Under-replicated partitions"),
    Words(
        "有副本没有跟上主副本的分区；broker 重启时短暂出现。",
        "A replica does not follow its leader; for a while when a broker restarts.",
    ),
    Prom("max(dujiang_kafka_under_replicated_partitions)"),
    levels=NOTICE,
)
BROKERS = stat(
    Words("Broker", "Brokers"),
    Words("集群中现有的 broker。", "Brokers that the cluster has now."),
    Prom("min(dujiang_kafka_brokers)"),
)
CONNECTED = stat(
    Words("已用连接", "Connections used"),
    Words(
        "PostgreSQL 允许的连接中已用的份额；超过 85% 五分钟告警。",
        "Of the connections that PostgreSQL allows; an alert above 85% for five minutes.",
    ),
    Prom("max(dujiang_postgresql_connections) / max(dujiang_postgresql_connections_allowed)"),
    unit="percentunit",
    levels=((0.85, "red"),),
)
LONGEST = stat(
    Words("最久的事务", "Longest transaction"),
    Words(
        "现在未结束的事务中最久者；超过 15 分钟告警。", "Of those open now, the one open longest; an alert above 15 minutes."
    ),
    Prom("max(dujiang_postgresql_longest_transaction_seconds)"),
    unit="s",
    levels=((900.0, "red"),),
)
SIZE_NOW = stat(
    Words("数据库大小", "Database size"),
    Words("平台的数据库占用的空间。", "The room that the platform's database takes."),
    Prom("max(dujiang_postgresql_database_bytes)"),
    unit="bytes",
)
PARTITIONS = lines(
    Words("Kafka 分区与 broker", "Kafka's partitions and brokers"),
    Words("离线与副本不足的分区，以及 broker 数。", "Offline and under-replicated partitions, and how many brokers there are."),
    Prom("max(dujiang_kafka_offline_partitions)", "offline"),
    Prom("max(dujiang_kafka_under_replicated_partitions)", "under-replicated"),
    Prom("min(dujiang_kafka_brokers)", "brokers"),
    unit="short",
    width=GRID,
)
CONNECTIONS = lines(
    Words("PostgreSQL 连接", "PostgreSQL's connections"),
    Words("已用与允许（不含保留给管理员的）。", "Used, and allowed without those that are reserved for administrators."),
    Prom("max(dujiang_postgresql_connections)", "used"),
    Prom("max(dujiang_postgresql_connections_allowed)", "allowed"),
    unit="short",
)
TRANSACTIONS = lines(
    Words("事务开放的时间", "How long transactions are open"),
    Words(
        "每次查看时最久的未结束事务；长事务使死行无法清理。",
        "The one open longest at each look; a long one keeps dead rows from being cleared.",
    ),
    Prom("max(dujiang_postgresql_longest_transaction_seconds)", "longest"),
    unit="s",
)
TROUBLE = lines(
    Words("回滚与死锁", "Rollbacks and deadlocks"),
    Words(
        "每秒回滚的事务与死锁；重试同一批时会有。",
        "Transactions a second that were rolled back, and deadlocks; some come when a batch is tried again.",
    ),
    Prom("max(rate(dujiang_postgresql_rolled_back_transactions_total[$__rate_interval]))", "rolled back"),
    Prom("max(rate(dujiang_postgresql_deadlocks_total[$__rate_interval]))", "deadlocks"),
    unit="cps",
)
CACHE = lines(
    Words("缓存命中", "Found in the cache"),
    Words(
        "从 PostgreSQL 自身缓存得到的页面份额；其余来自操作系统的缓存或磁盘。",
        "The share of pages that PostgreSQL found in its own cache; the rest came from the system's or from disk.",
    ),
    Prom(
        'max(rate(dujiang_postgresql_blocks_total{found="cache"}[$__rate_interval]))'
        ' / (max(rate(dujiang_postgresql_blocks_total{found="cache"}[$__rate_interval]))'
        ' + max(rate(dujiang_postgresql_blocks_total{found="disk"}[$__rate_interval])))',
        "share",
    ),
    unit="percentunit",
)
DEAD_ROWS = lines(
    Words("死行", "Dead rows"),
    Words(
        "状态表中等待清理的行；一直上升说明清理被阻挡，多因长事务。",
        "Rows of states that wait to be cleared; where they only rise, something is in the way, often a long transaction.",
    ),
    Prom("max by (table) (dujiang_postgresql_dead_rows)", "{{table}}"),
    unit="short",
)
SIZE = lines(
    Words("数据库大小的走势", "How the database grows"),
    Words("占用的空间。", "The room that it takes."),
    Prom("max(dujiang_postgresql_database_bytes)", "bytes"),
    unit="bytes",
)

PAGES = lines(
    Words("控制台页面用时", "How long the console's pages take"),
    Words(
        "从请求到带首批数据的页面，各部分的 p95；一秒内为正常。",
        "From the request to the page with its first figures, 95 of 100 within, by its part; within a second is well.",
    ),
    Prom(
        "histogram_quantile(0.95, sum by (page, le) (rate(dujiang_console_page_seconds_bucket[$__rate_interval])))", "{{page}}"
    ),
    unit="s",
)
QUESTIONS = lines(
    Words("控制台查询用时", "How long the console's questions take"),
    Words(
        "从提问到 PostgreSQL 作答（含等待空闲连接），p95：视图，以及控制台自身的表。",
        "Until PostgreSQL answers, with the wait for a free connection, 95 of 100 within: of views, and of what no view shows.",
    ),
    Prom(
        "histogram_quantile(0.95, sum by (asked, le) (rate(dujiang_console_query_seconds_bucket[$__rate_interval])))",
        "{{asked}}",
    ),
    unit="s",
)
OPEN_PAGES = lines(
    Words("打开的控制台页面", "Pages of the console that are open"),
    Words("浏览器中打开并自动更新的页面。", "Those that a browser has open and that follow by themselves."),
    Prom("sum(dujiang_console_open_pages)", "pages"),
    unit="short",
)
SIGN_INS = lines(
    Words("登录控制台", "Tries to sign in"),
    Words(
        "五分钟内的尝试，按结果；密码错误骤增说明有人在猜。",
        "Within five minutes, by outcome; many wrong passwords are somebody's guesses.",
    ),
    Prom("sum by (outcome) (increase(dujiang_console_sign_ins_total[5m]))", "{{outcome}}"),
    unit="short",
)

DASHBOARD = Dashboard(
    "dujiang-servers",
    Words("Kafka 与 PostgreSQL", "Kafka and PostgreSQL"),
    Words("平台所依赖的两个服务是否健康。", "Whether the two services that everything stands on are well."),
    (
        Row(Words("要紧", "What matters"), (OFFLINE, UNDER_REPLICATED, BROKERS, CONNECTED, LONGEST, SIZE_NOW)),
        Row(Words("Kafka", "Kafka"), (PARTITIONS,)),
        Row(Words("PostgreSQL", "PostgreSQL"), (CONNECTIONS, TRANSACTIONS, TROUBLE, CACHE, DEAD_ROWS, SIZE)),
        Row(Words("读取 PostgreSQL 的控制台", "The console, which reads it"), (PAGES, QUESTIONS, OPEN_PAGES, SIGN_INS)),
    ),
    hours=6,
)
