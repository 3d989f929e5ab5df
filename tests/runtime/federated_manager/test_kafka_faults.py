"""What only a real broker can show: its own crash, its limits, long trainings and large models."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.federated_manager.conftest import Ground, kafka_ground
from tests.runtime.federated_manager.processes import Role, Training
from tests.services.kafka import Kafka

pytestmark = pytest.mark.kafka

Start = Callable[..., Training]
# The zip's own bytes, for two stored files with names of eleven letters and two bytes of weights.
OF_THE_ZIP = 22 + 2 * (30 + 46 + 2 * 11) + 2
KILOBYTE, MEGABYTE = 1024, 1024 * 1024


@pytest.fixture(params=["kafka"])
def ground(kafka: Kafka) -> Ground:
    return kafka_ground(kafka, 220 * MEGABYTE)


def _end(roles: list[Role]) -> list[int]:
    return [role.wait() for role in roles]


def test_a_broker_killed_and_restarted_in_mid_round_is_waited_for(start: Start, kafka: Kafka) -> None:
    training = start(rounds=2)
    roles = [training.server().start()]
    # One sends its model while the broker is away, the other waits for the merged one.
    roles += [training.client("a").start(), training.client("b", seconds={"training_from_scratch": 3}).start()]
    roles[1].wait_for_line('"step": "sent"')
    roles[2].wait_for_line("the AI engine runs")
    kafka.kill()
    roles[2].wait_for_line("the AI engine ended training_from_scratch")
    kafka.start()

    assert _end(roles) == [0, 0, 0]

    assert [call["models"] for call in roles[0].calls if "models" in call] == [["model_a", "model_b"]] * 2
    assert training.failures == []


def test_a_broker_that_stays_away_fails_every_role_in_time(start: Start, kafka: Kafka) -> None:
    training = start(rounds=2, FEDERATED_CHANNEL_PATIENCE="3")
    roles = [training.server().start(), *training.clients("a", "b", seconds={"training_from_scratch": 3})]
    for role in roles[1:]:
        role.wait_for_line("the AI engine runs")
    kafka.kill()
    try:
        codes = _end(roles)
    finally:
        kafka.start()

    assert codes == [1, 1, 1]
    assert len([message for message in training.failures if "failed for 3 s" in message]) == 3


@pytest.mark.parametrize(("excess", "code"), [(0, 0), (1, 1)])
def test_a_model_may_be_as_long_as_the_limit_and_no_byte_longer(start: Start, excess: int, code: int) -> None:
    training = start(rounds=1, clients=1, COMMUNICATION_ADAPTER_MAX_MODEL_SIZE="300")
    size = 300 * KILOBYTE - OF_THE_ZIP + excess
    roles = [training.server().start(), *training.clients("a", size=size)]

    assert _end(roles) == [code, code]

    said = f"the model has {300 * KILOBYTE + 1} bytes as a zip; at most {300 * KILOBYTE} are allowed"
    assert (said in training.failures) is bool(excess)


def test_200_rounds_of_3_clients(start: Start) -> None:
    training = start(rounds=200, clients=3)
    roles = [training.server().start(), *training.clients("a", "b", "c")]

    assert _end(roles) == [0, 0, 0, 0]

    merges = [call["models"] for call in roles[0].calls if "models" in call]
    assert merges == [["model_a", "model_b", "model_c"]] * 200
    assert len(list((roles[0].folder / "metrics").iterdir())) == 3


def test_a_200_mb_model_goes_through_in_little_memory(start: Start) -> None:
    size = 200 * MEGABYTE
    training = start(rounds=1, clients=1, COMMUNICATION_ADAPTER_MAX_MODEL_SIZE=str(210 * KILOBYTE))
    roles = [training.server(size=size).start(), *training.clients("a", size=size)]
    peaks = [_Peak(role) for role in roles]

    assert _end(roles) == [0, 0]

    assert (roles[1].folder / "input" / "ballast.bin").read_bytes() == (
        roles[0].folder / "output" / "ballast.bin"
    ).read_bytes()
    for peak in peaks:
        assert MEGABYTE < peak.stop() < size // 2


class _Peak:
    """Watches the most memory that a role's manager has had, in bytes."""

    def __init__(self, role: Role) -> None:
        assert role.manager is not None
        self._status = Path(f"/proc/{role.manager.pid}/status")
        self._peak = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> int:
        self._over.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            try:
                lines = self._status.read_text().splitlines()
            except OSError:
                return
            found = [int(line.split()[1]) * KILOBYTE for line in lines if line.startswith("VmHWM")]
            self._peak = max([self._peak, *found])
