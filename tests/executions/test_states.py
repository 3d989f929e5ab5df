"""What is not allowed in an execution's present state: one status and one code, but for the callbacks' senders."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from executions.models import Execution
from executions.outcomes import execution_to_failed, execution_to_succeeded

PRODUCED = {"ai_model": {"ai_model": 1}, "evaluation_metrics": [{"evaluation_metric": 2}]}


def refusal(response: Any) -> tuple[int, str]:
    problem = response.json()
    assert problem["detail"] != problem["title"]
    return response.status_code, problem["code"]


@pytest.fixture
def succeeded(training: Execution) -> Execution:
    return execution_to_succeeded(execution_id=training.pk, document=PRODUCED)


@pytest.mark.parametrize("verb", ["stop", "retry"])
def test_people_are_told_of_a_conflict(api: APIClient, succeeded: Execution, verb: str) -> None:
    response = api.post(f"/api/executions/{succeeded.pk}/{verb}/")

    assert refusal(response) == (409, "not-allowed-in-state")


@pytest.mark.parametrize(
    ("verb", "document"),
    [("running", {}), ("failed", {"message": "x"}), ("succeeded", PRODUCED)],
)
def test_callbacks_are_told_as_their_senders_know_it(
    api: APIClient, training: Execution, verb: str, document: dict[str, Any]
) -> None:
    if verb == "failed":
        execution_to_succeeded(execution_id=training.pk, document=PRODUCED)
    else:
        execution_to_failed(execution_id=training.pk, document={"message": "x"})

    response = api.patch(f"/api/executions/{training.pk}/update_to_{verb}/", document, format="json")

    assert refusal(response) == (400, "not-allowed-in-state")
