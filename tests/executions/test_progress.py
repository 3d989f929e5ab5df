"""What federated managers tell while they run, and what the API shows of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from rest_framework.test import APIClient

from executions.models import Execution, FederatedProgress
from executions.plots import metrics_plot
from executions.rounds import Role, Round, Training
from executions.services import execution_create
from runs.models import WorkflowRun
from schemas.models import Schema
from tests.executions.conftest import FEDERATED, federated_document, training_files
from web.grants import WorkflowGrant

ONE, OTHER = "data-partner-1", "data-partner-2"
METRICS = {"evaluation_metrics": [{"name": "accuracy", "value": 0.75, "description": "x"}]}


@pytest.fixture
def execution(make_schema: Callable[..., Schema]) -> Execution:
    make_schema("federated", FEDERATED)
    return execution_create(document=federated_document(), files=training_files())


def client_of(execution: Execution, attempt: int = 1) -> APIClient:
    client = APIClient()
    grant = WorkflowGrant("execution", execution.pk, attempt, "its-name")
    client.force_authenticate(AnonymousUser(), token=grant)  # type: ignore[arg-type]
    return client


def url(execution: Execution, rest: str) -> str:
    return f"/api/executions/{execution.pk}/{rest}"


def document(**changed: Any) -> dict[str, Any]:
    told = {
        "at": "2026-11-21T12:25:46.930129+00:00",
        "role": "server",
        "channel_id": "15_-SEP-_…",
        "client": "",
        "step": "client answered",
        "round": 0,
        "rounds": 2,
        "bytes_sent": 0,
        "bytes_received": 244,
        "clients": {"expected": 2, "ready": [ONE, OTHER], "answered": [ONE], "failed": {}},
    }
    return {**told, **changed}


def of_client(partner: str = ONE, step: str = "sent", number: int | None = 0, **more: Any) -> dict[str, Any]:
    told = document(role="client", client=partner, step=step, round=number, **more)
    return {name: value for name, value in told.items() if name != "clients"}


def tell(execution: Execution, *documents: dict[str, Any]) -> Any:
    for each in documents:
        response = client_of(execution).post(url(execution, "progress/"), each, format="json")
        assert response.status_code == 204, response.content
    return response


def faults(execution: Execution, told: Any) -> list[str]:
    response = client_of(execution).post(url(execution, "progress/"), told, format="json")
    assert response.status_code == 400
    return [fault["pointer"] for fault in response.json()["errors"]]


def rounds(api: APIClient, execution: Execution, query: str = "") -> dict[str, Any]:
    shown: dict[str, Any] = api.get(url(execution, f"rounds/{query}")).json()
    return shown


def test_nothing_is_known_before_a_role_speaks(api: APIClient, execution: Execution) -> None:
    shown = rounds(api, execution)

    assert (shown["server"], shown["rounds"]) == (None, [])
    assert [(each["data_partner"], each["state"]) for each in shown["data_partners"]] == [
        (ONE, "waiting"),
        (OTHER, "waiting"),
    ]


def test_the_rounds_show_whom_the_server_heard_from(api: APIClient, execution: Execution) -> None:
    tell(execution, document())

    (shown,) = rounds(api, execution)["rounds"]

    assert (shown["round"], shown["is_evaluation"], shown["state"]) == (0, False, "client answered")
    assert (shown["ready"], shown["answered"], shown["failed"]) == ([ONE, OTHER], [ONE], {})
    assert (shown["bytes_sent"], shown["bytes_received"]) == (0, 244)


def test_the_last_word_on_a_round_counts(api: APIClient, execution: Execution) -> None:
    tell(execution, document(), document(step="merged", bytes_sent=100), document(round=1, step="gathering"))

    first, second = rounds(api, execution)["rounds"]

    assert (first["state"], first["bytes_sent"], second["state"]) == ("merged", 100, "gathering")
    assert FederatedProgress.objects.count() == 2


@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("ready", "ready"),
        ("training_from_scratch", "training"),
        ("sent", "answered"),
        ("evaluating_from_pretrained_model", "evaluating"),
        ("evaluated", "evaluated"),
        ("ended", "ended"),
        ("a step of a later manager", "training"),
    ],
)
def test_a_client_is_where_it_says(api: APIClient, execution: Execution, step: str, state: str) -> None:
    tell(execution, of_client(step=step))

    assert rounds(api, execution)["data_partners"][0]["state"] == state


def test_of_a_client_that_tells_us_nothing_the_server_knows(api: APIClient, execution: Execution) -> None:
    tell(execution, document(clients={"expected": 2, "ready": [ONE], "answered": [], "failed": {OTHER: "no memory"}}))

    one, other = rounds(api, execution)["data_partners"]

    assert (one["state"], other["state"], other["message"]) == ("ready", "failed", "no memory")


def test_a_failure_belongs_to_the_round_that_the_role_was_in(api: APIClient, execution: Execution) -> None:
    tell(execution, of_client(number=1), of_client(step="failed", number=None, message="out of memory"))

    shown = rounds(api, execution)["data_partners"][0]

    assert (shown["state"], shown["round"], shown["message"]) == ("failed", 1, "out of memory")


def test_metrics_are_shown_while_it_runs(api: APIClient, execution: Execution) -> None:
    tell(execution, of_client(metrics=METRICS))

    assert rounds(api, execution)["rounds"][0]["metrics"] == {ONE: {"accuracy": 0.75}}


def test_the_server_tells_the_metrics_of_clients_that_do_not(api: APIClient, execution: Execution) -> None:
    tell(execution, document(step="client evaluated", round=2, of=OTHER, metrics=METRICS))

    (shown,) = rounds(api, execution)["rounds"]

    assert (shown["is_evaluation"], shown["metrics"]) == (True, {OTHER: {"accuracy": 0.75}})


@pytest.mark.parametrize(
    "metric",
    [
        {"name": "accuracy", "value": "0.75"},
        {"name": "accuracy", "value": True},
        {"name": "accuracy", "value": 10**400},
        {"name": "a" * 201, "value": 1},
        {"name": "line\nbreak", "value": 1},
        {"name": ["accuracy"], "value": 1},
        "accuracy",
    ],
)
def test_what_is_no_metric_is_left_out(api: APIClient, execution: Execution, metric: Any) -> None:
    told = {"evaluation_metrics": [metric, *METRICS["evaluation_metrics"]]}

    tell(execution, of_client(metrics=told))

    assert rounds(api, execution)["rounds"][0]["metrics"] == {ONE: {"accuracy": 0.75}}


@pytest.mark.parametrize("metrics", [None, [], "x", {}, {"evaluation_metrics": {}}])
def test_metrics_of_any_form_break_nothing(api: APIClient, execution: Execution, metrics: Any) -> None:
    tell(execution, of_client(metrics=metrics))

    assert rounds(api, execution)["rounds"][0]["metrics"] == {}


def test_the_number_of_metrics_is_bounded(api: APIClient, execution: Execution) -> None:
    many = [{"name": f"metric {number}", "value": number} for number in range(1000)]

    tell(execution, of_client(metrics={"evaluation_metrics": many}))

    assert len(rounds(api, execution)["rounds"][0]["metrics"][ONE]) == 50


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"role": "observer"}, "/data/role"),
        ({"round": 3}, "/data/round"),
        ({"round": -1}, "/data/round"),
        ({"round": "1"}, "/data/round"),
        ({"step": ""}, "/data/step"),
        ({"step": "x" * 51}, "/data/step"),
        ({"bytes_sent": -1}, "/data/bytes_sent"),
        ({"bytes_received": 2**63}, "/data/bytes_received"),
        ({"clients": []}, "/data/clients"),
        ({"clients": {"answered": [1]}}, "/data/clients/answered/0"),
        ({"role": "client", "client": "data-partner-3"}, "/data/client"),
    ],
)
def test_bad_progress_is_refused_with_its_place(execution: Execution, changed: dict[str, Any], pointer: str) -> None:
    assert faults(execution, document(**changed)) == [pointer]
    assert not FederatedProgress.objects.exists()


def test_names_of_nobody_are_left_out(api: APIClient, execution: Execution) -> None:
    told = {"expected": 2, "ready": ["x", ONE], "answered": ["x"], "failed": {"x": "y", OTHER: "z"}}

    tell(execution, document(clients=told))

    (shown,) = rounds(api, execution)["rounds"]
    assert (shown["ready"], shown["answered"], shown["failed"]) == ([ONE], [], {OTHER: "z"})


def test_a_large_document_is_refused(execution: Execution) -> None:
    response = client_of(execution).post(url(execution, "progress/"), {"x": "y" * 1024**2}, format="json")

    assert response.status_code == 413


def test_an_earlier_attempt_is_not_heard(execution: Execution) -> None:
    Execution.objects.update(attempt=2)

    response = client_of(execution, attempt=1).post(url(execution, "progress/"), document(), format="json")

    assert response.status_code == 403


def test_another_execution_is_not_spoken_for(execution: Execution, training: Execution) -> None:
    response = client_of(training).post(url(execution, "progress/"), document(), format="json")

    assert response.status_code == 403


def test_an_execution_that_trains_at_one_place_has_no_rounds(api: APIClient, training: Execution) -> None:
    assert api.get(url(training, "rounds/")).status_code == 400
    assert faults(training, document()) == ["/data"]


def test_a_workflow_reads_no_rounds(execution: Execution) -> None:
    assert client_of(execution).get(url(execution, "rounds/")).status_code == 403


def test_each_attempt_has_rounds_of_its_own(api: APIClient, execution: Execution) -> None:
    tell(execution, document())
    Execution.objects.update(attempt=2)

    assert rounds(api, execution)["rounds"] == []
    assert len(rounds(api, execution, "?attempt=1")["rounds"]) == 1
    assert api.get(url(execution, "rounds/?attempt=3")).status_code == 400


def plot(api: APIClient, execution: Execution, query: str = "") -> Any:
    return api.get(url(execution, f"rounds/plot/{query}"))


def test_metrics_are_drawn_as_svg(api: APIClient, execution: Execution) -> None:
    tell(execution, of_client(metrics=METRICS), of_client(OTHER, number=1, metrics=METRICS))

    response = plot(api, execution)

    assert response["Content-Type"] == "image/svg+xml"
    assert b"<svg" in response.content


def test_metrics_are_drawn_as_png(api: APIClient, execution: Execution) -> None:
    tell(execution, of_client(metrics=METRICS))

    response = plot(api, execution, "?format=png&metric=accuracy")

    assert response["Content-Type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("image_format", ["svg", "png"])
@pytest.mark.parametrize(
    "values",
    [
        [1e308],
        [1e308, -1e308],
        [1.7976931348623157e308] * 3,
        [1e-320, 5e-324, 0],
        [NAN, INFINITY, -INFINITY],
        [1e308, NAN, 0.5, -1e308, INFINITY, 1e-320, 1e100, -1e100],
        [(-1) ** number * 1e308 for number in range(5000)],
        [number % 7 for number in range(5000)],
        [],
    ],
    ids=["one", "both", "largest", "smallest", "no numbers", "mixed", "many large", "many", "none"],
)
def test_no_number_breaks_a_plot(values: list[float], image_format: str) -> None:
    parts = [Role("a", "ended", 1, "", 0, 0, None), Role("b", "ended", 1, "", 0, 0, None)]
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    told = [
        Round(number, False, "", [], [], {}, {"a": {"m": value}, "b": {"m": 0.5}}, 0, 0, moment, moment)
        for number, value in enumerate(values)
    ]
    drawn = metrics_plot(Training(1, None, parts, told), ["m"], image_format)
    assert drawn.startswith(b"\x89PNG" if image_format == "png" else b"<?xml")


def test_what_a_plot_leaves_out_is_counted(api: APIClient, execution: Execution) -> None:
    tell(execution, of_client(metrics={"evaluation_metrics": [{"name": "loss", "value": 1e308}]}))
    assert b"1 beyond 1e+100" in plot(api, execution).content


def test_a_plot_without_metrics_says_so(api: APIClient, execution: Execution) -> None:
    assert plot(api, execution).status_code == 200


@pytest.mark.parametrize("name", ["$x^", "$\\frac{", "<script>", "_hidden"])
def test_names_of_metrics_are_only_text(api: APIClient, execution: Execution, name: str) -> None:
    tell(execution, of_client(metrics={"evaluation_metrics": [{"name": name, "value": 1}]}))

    response = plot(api, execution)

    assert response.status_code == 200
    assert b"<script>" not in response.content


@pytest.mark.parametrize(
    ("query", "pointer"),
    [("?format=pdf", "/query/format"), ("?metric=loss", "/query/metric"), ("?metrics=x", "/query/metrics")],
)
def test_a_plot_that_cannot_be_drawn_is_refused(api: APIClient, execution: Execution, query: str, pointer: str) -> None:
    response = plot(api, execution, query)

    assert response.status_code == 400
    assert [fault["pointer"] for fault in response.json()["errors"]] == [pointer]


def gives_up(execution: Execution, query: str = "", message: str = "no data") -> Any:
    path = url(execution, f"update_role_to_failed/{query}")
    return client_of(execution).patch(path, {"message": message}, format="json")


def test_a_server_that_gives_up_fails_the_execution_and_ends_the_clients(execution: Execution) -> None:
    assert gives_up(execution).status_code == 200

    execution.refresh_from_db()
    run = WorkflowRun.objects.get()
    assert (execution.state, execution.reason, execution.message) == ("failed", "callback", "no data")
    assert run.stop_requested_at


def test_a_client_that_cannot_begin_fails_the_execution(api: APIClient, execution: Execution) -> None:
    gives_up(execution, f"?data_partner={OTHER}")

    execution.refresh_from_db()
    assert (execution.state, execution.message) == ("failed", f"{OTHER}: no data")
    assert rounds(api, execution)["data_partners"][1]["state"] == "failed"


def continuing(execution: Execution, minimum: int) -> None:
    options = {"on_missing_clients": "continue", "minimum_clients": minimum}
    Execution.objects.filter(pk=execution.pk).update(federated_options=options)


def test_a_training_that_goes_on_without_a_client_is_not_failed_by_it(execution: Execution) -> None:
    continuing(execution, minimum=1)

    gives_up(execution, f"?data_partner={OTHER}")

    execution.refresh_from_db()
    assert execution.state == "pending"
    assert WorkflowRun.objects.get().stop_requested_at is None


def test_when_too_few_clients_are_left_the_execution_fails(execution: Execution) -> None:
    continuing(execution, minimum=1)

    gives_up(execution, f"?data_partner={OTHER}")
    gives_up(execution, f"?data_partner={ONE}", "no memory")

    execution.refresh_from_db()
    assert (execution.state, execution.message) == ("failed", f"{ONE}: no memory")


def test_a_failure_after_the_end_changes_nothing(execution: Execution) -> None:
    Execution.objects.update(state="succeeded")

    assert gives_up(execution, f"?data_partner={OTHER}").status_code == 200

    execution.refresh_from_db()
    assert execution.state == "succeeded"


def test_nobody_else_gives_up(execution: Execution) -> None:
    assert gives_up(execution, "?data_partner=data-partner-3").status_code == 400
    assert gives_up(execution, "?partner=data-partner-1").status_code == 400


def test_of_very_many_rounds_the_newest_are_shown(
    api: APIClient, execution: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("executions.rounds.MAX_ROUNDS", 2)
    tell(execution, of_client(OTHER, "failed", 0, message="no memory"), document(round=1), document(round=2))

    shown = rounds(api, execution)

    assert [each["round"] for each in shown["rounds"]] == [1, 2]
    assert shown["data_partners"][1]["message"] == "no memory"
