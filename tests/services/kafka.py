"""A throw-away Kafka broker: one KRaft process at free ports of the loopback address, its data in its own folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

VERSION = "3.9.1"
JARS = Path(os.environ.get("KAFKA_CACHE") or Path.home() / ".cache/orchestrator-kafka") / f"kafka_2.13-{VERSION}"
MISSING = f"{JARS} or Java is missing: `make test-kafka` prepares and runs these tests."
# A machine that builds something else at the same time is slow.
PATIENCE_SECONDS = 120.0
CLUSTER_ID = "b3JjaGVzdHJhdG9yLXRlcw"

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=CONTROLLER://127.0.0.1:{controller},{listeners}
advertised.listeners={listeners}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,{protocols}
inter.broker.listener.name=CLIENT
log.dirs={data}
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
# The largest request; topics have limits of their own (max.message.bytes).
socket.request.max.bytes=1073741824
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=1000
"""


class KafkaMissing(Exception):
    """What runs the broker is not installed."""


class Kafka:
    """A broker from `with` to the end of the block; `bootstrap` is its address, the same after a restart.

    `properties` are added to those of the broker, `listeners` (names to security protocols) to its plain one; where
    each listens is in `addresses`. Raises `KafkaMissing` where it is not installed.
    """

    def __init__(self, properties: Mapping[str, str] | None = None, listeners: Mapping[str, str] | None = None) -> None:
        self._extra = dict(properties or {})
        self._protocols = {"CLIENT": "PLAINTEXT", **(listeners or {})}
        self.addresses: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = ""

    def __enter__(self) -> Kafka:
        if shutil.which("java") is None or not JARS.is_dir():
            raise KafkaMissing(MISSING)
        self._folder = Path(tempfile.mkdtemp(prefix="orchestrator-kafka-"))
        try:
            for attempt in range(3):
                self._format()
                try:
                    self.start()
                    break
                except _NotStarted:
                    # Somebody may have taken a port between its choice and its use.
                    if attempt == 2:
                        raise
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start the broker on the data it has, and wait until it answers."""
        command = [*self._java(), "kafka.Kafka", str(self._folder / "server.properties")]
        # What a killed test run leaves behind ends with it.
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with (self._folder / "kafka.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise _NotStarted(f"Kafka does not start:\n{self.last_words()}")
            time.sleep(0.2)

    def freeze(self) -> None:
        """Let the broker answer no more, and keep its connections."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the broker at once, as a crash would; its data stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Kill the broker and start it again on the same data."""
        self.kill()
        self.start()

    @contextmanager
    def admin(self) -> Iterator[KafkaAdminClient]:
        """Give an administrator's client."""
        client = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            yield client
        finally:
            client.close()

    def make_topics(self, topics: Mapping[str, Mapping[str, str]]) -> None:
        """Make topics of one partition with their settings; one that is there stays as it is."""
        with self.admin() as admin:
            there = set(admin.list_topics())
            wanted = {
                name: {"num_partitions": 1, "replication_factor": 1, "configs": dict(configs)}
                for name, configs in topics.items()
                if name not in there
            }
            if wanted:
                admin.create_topics(wanted, wait_for_metadata=True)

    def last_words(self) -> str:
        """Return the end of the broker's log."""
        return (self._folder / "kafka.log").read_text(errors="replace")[-4000:]

    def _format(self) -> None:
        controller, *ports = _free_ports(1 + len(self._protocols))
        self.addresses = {name: f"127.0.0.1:{port}" for name, port in zip(self._protocols, ports, strict=True)}
        self.bootstrap = self.addresses["CLIENT"]
        data, properties = self._folder / "data", self._folder / "server.properties"
        shutil.rmtree(data, ignore_errors=True)
        own = _PROPERTIES.format(
            controller=controller,
            listeners=",".join(f"{name}://{address}" for name, address in self.addresses.items()),
            protocols=",".join(f"{name}:{protocol}" for name, protocol in self._protocols.items()),
            data=data,
        )
        properties.write_text(own + "".join(f"{name}={value}\n" for name, value in self._extra.items()))
        with (self._folder / "kafka.log").open("ab") as log:
            subprocess.run(
                [*self._java(), "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)],
                stdout=log,
                stderr=log,
                check=True,
                timeout=PATIENCE_SECONDS,
            )

    def _answers(self) -> bool:
        host, port = self.bootstrap.split(":")
        try:
            with socket.create_connection((host, int(port)), timeout=2):
                pass
            # It listens before it knows itself: only then can topics be made.
            with self.admin() as admin:
                admin.list_topics()
        except (OSError, KafkaError):
            return False
        return True

    def _java(self) -> list[str]:
        settings = self._folder / "log4j.properties"
        if not settings.exists():
            settings.write_text(
                "log4j.rootLogger=WARN, out\n"
                "log4j.appender.out=org.apache.log4j.ConsoleAppender\n"
                "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
                "log4j.appender.out.layout.ConversionPattern=%d %p %m (%c)%n\n"
            )
        # Room for requests of 200 MB: the broker takes each whole.
        quick = ["-Xmx1536m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return ["java", *quick, f"-Dlog4j.configuration=file:{settings}", "-cp", f"{JARS}/*"]


class _NotStarted(Exception):
    """The broker ended, or does not answer."""


def make_name(prefix: str = "test") -> str:
    """Return a channel id or topic name that nobody else uses."""
    return f"{prefix}-{secrets.token_hex(4)}"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
