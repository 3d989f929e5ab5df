"""Federated trainings of the whole service over a real Kafka broker that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.federated import ONE, OTHER, ROUNDS, SLOW, ended, post, rounds, run_of, wait_for
from tests.services.kafka import Kafka
from usage_scripts.demo_day import Api
from usage_scripts.local_service import local_service

pytestmark = [pytest.mark.kafka, pytest.mark.live]


@pytest.fixture(scope="module")
def broker() -> Iterator[Kafka]:
    """Give a broker that these tests may kill."""
    with Kafka() as running:
        yield running


@pytest.fixture(scope="module")
def api(broker: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    channel = {"FEDERATED_ADAPTER": "kafka", "FEDERATED_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap}
    with local_service(tmp_path_factory.mktemp("service"), **channel) as service:
        yield Api(service.url, service.token)


def topics(broker: Kafka) -> set[str]:
    with broker.admin() as admin:
        return set(admin.list_topics())


def test_a_broker_that_is_down_when_it_is_posted_delays_the_training(api: Api, broker: Kafka) -> None:
    broker.kill()
    execution = post(api)
    path = f"executions/{execution['id']}/"
    wait_for("a word on the wait", lambda: "channel" in api.call("GET", path)["state"].get("message", ""))
    assert run_of(api, execution)["phase"] == "queued"

    broker.start()

    assert ended(api, execution)["state"]["status"] == "succeeded"
    wait_for("the end of its topics", lambda: topics(broker) == {"status"})


def test_a_broker_that_is_restarted_in_a_round_changes_nothing(api: Api, broker: Kafka) -> None:
    execution = post(api, epochs=SLOW)
    wait_for("the second round", lambda: any(each["round"] == 1 for each in rounds(api, execution)["rounds"]))

    broker.restart()

    last = ended(api, execution)
    assert last["state"]["status"] == "succeeded", last["state"]
    assert [each["answered"] for each in rounds(api, last)["rounds"]] == [[ONE, OTHER]] * (ROUNDS + 1)


def test_a_broker_that_is_down_at_the_end_keeps_its_topics_only_until_it_is_back(api: Api, broker: Kafka) -> None:
    execution = post(api, epochs=SLOW)
    wait_for("the first round", lambda: rounds(api, execution)["rounds"])
    broker.kill()
    api.post(f"executions/{execution['id']}/stop/", {})
    run = wait_for("the Workflow's end", lambda: run_of(api, execution)["finished_at"])
    assert run

    broker.start()

    wait_for("the end of its topics", lambda: topics(broker) == {"status"})
