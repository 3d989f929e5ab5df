"""The channel of a federated training: what its managers are told, when it is opened, and when it is closed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from django.utils import timezone

from engines.base import WorkflowPhase
from engines.recording import RecordingEngine
from executions.attempts import execution_retry
from executions.models import Execution
from executions.outcomes import execution_to_failed
from executions.owner import ExecutionOwner
from executions.services import execution_create, execution_delete
from federated.adapters.configured import forget_adapters, get_adapter
from runs import outbox
from runs.carrier import Carrier
from runs.models import WorkflowRun
from runs.owners import CannotPrepare, NotReady
from runs.services import run_observe
from runtime.federated_manager.settings import read_settings
from schemas.models import Schema
from tests.executions.adapters import SECRET, NotingAdapter
from tests.executions.conftest import FEDERATED, MANIFEST, federated_document, training_files

LINKAGE = {"INITIALIZATION_TIME": "240", "FINALIZATION_TIME": "30", "FINALIZATION_RETRIES": "4"}


@pytest.fixture
def adapter(settings: Any) -> Iterator[NotingAdapter]:
    settings.FEDERATED_ADAPTERS = {"noting": {"class": "tests.executions.adapters.NotingAdapter"}}
    settings.FEDERATED_ADAPTER = "noting"
    forget_adapters()
    yield cast(NotingAdapter, get_adapter("noting"))
    forget_adapters()


@pytest.fixture
def post(adapter: NotingAdapter, make_schema: Callable[..., Schema]) -> Callable[..., Execution]:
    def post(defaults: dict[str, Any] | None = None, **options: Any) -> Execution:
        schema = make_schema("federated", FEDERATED)
        if defaults:
            schema.input_elements = {**schema.input_elements, "federated_learning_defaults": defaults}
            schema.save()
        document = federated_document()
        document["input_elements"]["federated_learning_configuration"] |= options
        return execution_create(document=document, files=training_files())

    return post


@pytest.fixture
def carry(monkeypatch: pytest.MonkeyPatch) -> Callable[[], RecordingEngine]:
    """Return a function that carries what is due now, or will be later, to an engine that records it."""
    engine = RecordingEngine()

    def carry() -> RecordingEngine:
        WorkflowRun.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())
        for claimed in outbox.claim(engine="local", limit=10, claimed_by="me", now=timezone.now()):
            Carrier(engine, "me", timezone.now).carry(claimed.run_id)
        return engine

    return carry


def run_of(execution: Execution) -> WorkflowRun:
    return WorkflowRun.objects.get(owner_id=execution.pk, attempt=execution.attempt)


def parameter(run: WorkflowRun, name: str = "execution_communicationAdapterId") -> str:
    given = run.manifest["spec"]["arguments"]["parameters"]
    return next(str(each["value"]) for each in given if each["name"] == name)


def variables(run: WorkflowRun) -> dict[str, Any]:
    manager = run.manifest["spec"]["templates"][1]["containerSet"]["containers"][0]
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in manager["env"]}


def test_a_manager_is_told_of_its_channel_and_of_where_progress_goes(post: Any, settings: Any) -> None:
    settings.FEDERATED_MAX_MODEL_KILOBYTES = 100
    settings.ORCHESTRATOR_API_HOSTNAME = "orchestrator.example:8900"

    execution = post()

    told = variables(run_of(execution))
    address = f"http://orchestrator.example:8900/api/executions/{execution.pk}/progress/"
    assert told["COMMUNICATION_ADAPTER"] == "KAFKA"
    assert told["COMMUNICATION_ADAPTER_MAX_MODEL_SIZE"] == "100"
    assert told["FEDERATED_PROGRESS_ENDPOINT"] == address
    assert "FEDERATED_ROUND_POLICY" not in told


def test_time_outs_leave_room_for_the_ai_engine(post: Any, settings: Any) -> None:
    settings.FEDERATED_INITIALIZATION_SECONDS = 600

    told = variables(run_of(post()))

    assert told["COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME"] == "600"
    assert told["COMMUNICATION_ADAPTER_MAX_ITERATION_TIME"] == str(1200 + 300)
    assert told["COMMUNICATION_ADAPTER_START_ITERATION_MESSAGE_TIME_OUT"] == str(600 + 1500 + 1200 + 300)


def test_a_manager_is_told_what_it_needs_of_its_ai_engine(post: Any) -> None:
    told = variables(run_of(post()))

    assert told["AI_ENGINE_LINKAGE_ADAPTER_MAX_ITERATION_TIME"] == "1200"
    assert {name: told[f"AI_ENGINE_LINKAGE_ADAPTER_MAX_{name}"] for name in LINKAGE} == LINKAGE


@pytest.fixture
def from_config_maps(adapter: NotingAdapter, make_schema: Callable[..., Schema]) -> Callable[..., WorkflowRun]:
    """Return a function that posts a training whose managers take their variables from ConfigMaps."""

    def post(suffix: str) -> WorkflowRun:
        manifest = copy.deepcopy(MANIFEST)
        manager = {
            "name": "main",
            "image": "{{workflow.parameters.platform_imageRegistry}}/federated-learning-manager:1",
        }
        for role in ("server", "client"):
            source = {"configMapRef": {"name": f"federated-learning-manager-{role}{suffix}"}}
            manifest["spec"]["templates"].append({"name": role, "container": {**manager, "envFrom": [source]}})
        make_schema("federated", FEDERATED, manifest=manifest)
        return run_of(execution_create(document=federated_document(), files=training_files()))

    return post


@pytest.mark.parametrize("suffix", ["", "-staging"])
def test_the_managers_config_maps_are_provided(from_config_maps: Any, carry: Any, settings: Any, suffix: str) -> None:
    settings.FEDERATED_ITERATION_SECONDS = 700
    run = from_config_maps(suffix)

    names = {role: f"federated-learning-manager-{role}{suffix}" for role in ("server", "client")}
    channel = {"COMMUNICATION_ADAPTER_BOOTSTRAP_SERVERS_CONFIG": "kafka:9092"}
    server, client = (
        read_settings(line, {**channel, **run.config_maps[names[line[0]]]})
        for line in (["server", "id", "2", "2", "merging_models"], ["client", "id", "p", "2", "training_from_scratch"])
    )
    assert (server.engine.max_iteration_time, client.engine.max_finalization_retries) == (700, 4)
    assert str(client.merged_model) == "/tmp/ai_elements/ai_model"
    assert carry().submissions[run.name].of_installation == set(names.values())


def test_the_execution_says_how_its_rounds_go(post: Any) -> None:
    run = run_of(
        post(
            on_missing_clients="continue",
            minimum_clients=1,
            round_deadline_seconds=60,
            aggregation="trimmed_mean",
            trim=0.25,
            max_model_size=7,
        )
    )

    told = variables(run)
    assert told["FEDERATED_ROUND_POLICY"] == "continue"
    assert told["FEDERATED_MINIMUM_CLIENTS"] == "1"
    assert told["COMMUNICATION_ADAPTER_MAX_ITERATION_TIME"] == "60"
    assert (told["FEDERATED_AGGREGATION"], told["FEDERATED_TRIM"]) == ("trimmed_mean", "0.25")
    assert told["COMMUNICATION_ADAPTER_MAX_MODEL_SIZE"] == "7"


def test_what_the_execution_does_not_say_its_schema_may(post: Any) -> None:
    defaults = {"on_missing_clients": "continue", "minimum_clients": 1, "aggregation": "median"}

    told = variables(run_of(post(defaults, aggregation="engine")))

    assert (told["FEDERATED_ROUND_POLICY"], told["FEDERATED_MINIMUM_CLIENTS"]) == ("continue", "1")
    assert told["FEDERATED_AGGREGATION"] == "engine"


def test_answers_show_what_was_posted(post: Any, api: Any) -> None:
    execution = post({"aggregation": "median"}, max_model_size=7)

    shown = api.get(f"/api/executions/{execution.pk}/").json()["input_elements"]["federated_learning_configuration"]

    assert shown == {"number_iterations": 2, "max_model_size": 7}


def test_the_channel_is_opened_before_the_workflow_is_submitted(post: Any, carry: Any, adapter: NotingAdapter) -> None:
    execution = post(max_model_size=7)
    run = run_of(execution)

    engine = carry()

    (spec,) = adapter.specs
    assert spec.id == parameter(run)
    assert (spec.owner_id, spec.attempt, spec.max_model_bytes) == (execution.pk, 1, 7 * 1024)
    assert spec.ends_at == run.deadline_at
    assert engine.submissions[run.name].secrets[f"{run.name}-callback"][SECRET] == "of the channel"


def test_nothing_secret_is_in_the_manifest(post: Any, carry: Any) -> None:
    run = run_of(post())

    carry()

    assert "of the channel" not in json.dumps(run.manifest)
    assert variables(run)[SECRET] == {"secretKeyRef": {"name": f"{run.name}-callback", "key": SECRET}}


def test_a_broker_that_is_down_delays_the_run_and_does_not_lose_it(
    post: Any, carry: Any, adapter: NotingAdapter
) -> None:
    run = run_of(post())
    adapter.away = True

    engine = carry()

    run.refresh_from_db()
    assert (run.phase, run.tries, engine.submissions) == ("queued", 1, {})
    assert "no broker answers" in run.message
    adapter.away = False
    assert list(carry().submissions) == [run.name]


def test_a_channel_that_is_refused_fails_the_execution_with_the_reason(
    post: Any, carry: Any, adapter: NotingAdapter
) -> None:
    execution = post()
    adapter.refuses = "a model of 52428800 bytes is more than the 1048576 that the broker admits"

    engine = carry()

    execution.refresh_from_db()
    assert (execution.state, engine.submissions) == ("failed", {})
    assert adapter.refuses in execution.message


@pytest.mark.parametrize("phase", [WorkflowPhase.SUCCEEDED, WorkflowPhase.FAILED])
def test_the_channel_is_closed_when_the_workflow_has_ended(
    post: Any, carry: Any, adapter: NotingAdapter, phase: WorkflowPhase
) -> None:
    run = run_of(post())
    engine = carry()
    engine.finish(run.name, phase)
    run_observe(run_id=run.pk, status=engine.get(run.name))

    carry()

    assert adapter.calls == [("open", parameter(run)), ("close", parameter(run))]


def test_a_channel_that_cannot_be_closed_now_is_closed_later(post: Any, carry: Any, adapter: NotingAdapter) -> None:
    run = run_of(post())
    engine = carry()
    engine.finish(run.name)
    run_observe(run_id=run.pk, status=engine.get(run.name))
    adapter.away = True
    carry()
    run.refresh_from_db()
    assert (run.released_at, adapter.calls[1:]) == (None, [])
    adapter.away = False

    carry()

    run.refresh_from_db()
    assert run.released_at
    assert adapter.calls[1:] == [("close", parameter(run))]


def test_the_channel_of_a_deleted_execution_is_closed(post: Any, carry: Any, adapter: NotingAdapter) -> None:
    execution = post()
    channel = parameter(run_of(execution))
    carry()

    execution_delete(execution_id=execution.pk)
    carry()

    assert adapter.calls[1:] == [("close", channel)]


def test_another_attempt_has_another_channel(post: Any, carry: Any, adapter: NotingAdapter) -> None:
    execution = post()
    first = run_of(execution)
    engine = carry()
    execution_to_failed(execution_id=execution.pk, document={"message": "x"})
    engine.finish(first.name, WorkflowPhase.FAILED)
    run_observe(run_id=first.pk, status=engine.get(first.name))
    carry()

    second = run_of(execution_retry(execution_id=execution.pk))
    carry()

    assert parameter(second) != parameter(first)
    assert adapter.calls == [("open", parameter(first)), ("close", parameter(first)), ("open", parameter(second))]


def test_faults_of_the_channel_are_the_runs(post: Any, adapter: NotingAdapter) -> None:
    run = run_of(post())
    adapter.away = True
    with pytest.raises(NotReady):
        ExecutionOwner().prepare(run)
    adapter.away, adapter.refuses = False, "too large"
    with pytest.raises(CannotPrepare, match="too large"):
        ExecutionOwner().prepare(run)


def test_an_execution_that_trains_at_one_place_has_no_channel(
    training: Execution, carry: Any, adapter: NotingAdapter
) -> None:
    run = run_of(training)
    engine = carry()
    engine.finish(run.name)

    run_observe(run_id=run.pk, status=engine.get(run.name))

    run.refresh_from_db()
    assert run.released_at, "there is nothing for a controller to come back for"
    assert adapter.calls == []


def test_a_deadline_of_rounds_says_nothing_of_the_start(adapter: NotingAdapter, make_schema: Any) -> None:
    manifest = copy.deepcopy(MANIFEST)
    own = [
        {"name": "COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME", "value": "10"},
        {"name": "COMMUNICATION_ADAPTER_MAX_ITERATION_TIME", "value": "20"},
    ]
    manifest["spec"]["templates"][1]["containerSet"]["containers"][0]["env"] = own
    make_schema("federated", FEDERATED, manifest=manifest)
    document = federated_document()
    document["input_elements"]["federated_learning_configuration"]["round_deadline_seconds"] = 60

    told = variables(run_of(execution_create(document=document, files=training_files())))

    assert told["COMMUNICATION_ADAPTER_MAX_INITIALIZATION_TIME"] == "10"
    assert told["COMMUNICATION_ADAPTER_MAX_ITERATION_TIME"] == "60"
