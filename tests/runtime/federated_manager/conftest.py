from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtime.federated_manager.channel.base import Channel
from runtime.federated_manager.channel.broker import Security
from runtime.federated_manager.channel.http import HttpChannel
from runtime.federated_manager.channel.kafka import KafkaChannel
from tests.runtime.federated_manager.processes import Training
from tests.services.channels import ChannelServer
from tests.services.kafka import Kafka, make_name


def make_channel_topics(kafka: Kafka, limit: int = 3_000_000, **more: str) -> str:
    """Make the topics of a channel as the orchestrator does; return its id."""
    channel_id = make_name("15_-SEP-")
    compacted = {"cleanup.policy": "compact,delete"}
    models: Mapping[str, str] = compacted | {"compression.type": "gzip", "max.message.bytes": str(limit)} | more
    kafka.make_topics(
        {
            "status": compacted,
            f"{channel_id}_models_to_manager": models,
            f"{channel_id}_models_to_clients": models,
        }
    )
    return channel_id


@dataclass(frozen=True)
class Ground:
    """Where a training takes place: a channel of its own, and how its roles and a test reach it."""

    adapter: str
    channel_id: str
    environment: dict[str, str]
    open: Callable[[Path], Channel]


OVER_KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)
over_both = pytest.mark.parametrize("ground", ["http", OVER_KAFKA], indirect=True)


@pytest.fixture(params=[OVER_KAFKA])
def ground(request: pytest.FixtureRequest) -> Ground:
    """A channel over Kafka, or over what `over_both` asks for."""
    if request.param == "kafka":
        return kafka_ground(request.getfixturevalue("kafka"))
    server: ChannelServer = request.getfixturevalue("channel_server")
    made = server.make_channel()
    environment = {
        "COMMUNICATION_ADAPTER": "DATABASE",
        "COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": server.url,
        "ORCHESTRATOR_CALLBACK_TOKEN": made.token,
    }
    return Ground("http", made.id, environment, lambda spool: HttpChannel(server.url, made.id, spool, made.token, 60))


def kafka_ground(kafka: Kafka, limit: int = 3_000_000) -> Ground:
    channel_id = make_channel_topics(kafka, limit)
    environment = {"COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": kafka.bootstrap}
    return Ground(
        "kafka",
        channel_id,
        environment,
        lambda spool: KafkaChannel(kafka.bootstrap, channel_id, spool, Security(), 60),
    )


@pytest.fixture
def start(ground: Ground, tmp_path: Path) -> Iterator[Callable[..., Training]]:
    """Give a maker of one training on this ground."""
    with ExitStack() as stack:

        def make(rounds: int = 2, clients: int = 2, **environment: str) -> Training:
            folder = tmp_path / "pods"
            folder.mkdir()
            training = Training(ground.channel_id, folder, ground.environment | environment, rounds, clients)
            return stack.enter_context(training)

        yield make


@pytest.fixture
def voice(ground: Ground, tmp_path: Path) -> Iterator[Channel]:
    """The channel in the test's own hands, to speak as a role of another kind."""
    spool = tmp_path / "spool"
    spool.mkdir()
    with ground.open(spool) as channel:
        yield channel
