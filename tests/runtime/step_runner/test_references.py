import json
from typing import Any

import pytest

from runtime.calls import Calls
from runtime.errors import ActionError, CallError
from runtime.step_runner.references import URL_VARIABLE, Parameters
from tests.runtime.recording import RecordingServer, json_answer

PATH = "/api/executions/7/retrieve_workflow_parameter/"
IDS = {"data-partner-1": [f"004-{number:06}" for number in range(100_000)]}


def _parameters(server: RecordingServer, calls: Calls, **values: Any) -> Parameters:
    for name, value in values.items():
        server.answer("GET", f"{PATH}?name={name}", json_answer({"value": value}))
    return Parameters(calls, {URL_VARIABLE: f"{server.url}{PATH}"})


def test_references_are_replaced_wherever_fields_have_them(server: RecordingServer, calls: Calls) -> None:
    parameters = _parameters(server, calls, ids=IDS, text="a description")
    document = [
        {
            "name": "update_to_succeeded",
            "ai_model_upload_metadata": {
                "data_partners_patients": {"$parameter": "ids"},
                "description": "$parameter:text",
            },
            "evaluation_metrics_patients_info": {"$parameter": "ids"},
            "inner": [{"$parameter": "ids"}],
        }
    ]

    (action,) = parameters.resolved(document)

    assert action["ai_model_upload_metadata"] == {"data_partners_patients": IDS, "description": "a description"}
    assert action["evaluation_metrics_patients_info"] == IDS
    assert action["inner"] == [IDS]
    assert len(server.of("GET")) == 2
    assert server.headers[0]["Authorization"] == "Bearer callback-token"


def test_what_only_looks_like_a_reference_stays(server: RecordingServer, calls: Calls) -> None:
    parameters = _parameters(server, calls)
    document = {
        "ids": {"p": ["$parameter:text"], "$parameter": ["x"]},
        "text": "see $parameter:text",
        "number": 3,
        "both": {"$parameter": "ids", "other": 1},
        "none": {"$parameter": None},
    }
    expected = json.loads(json.dumps(document))
    # A partner may have this name; what it has is a list, and no reference.

    assert parameters.resolved(document) == expected
    assert server.calls == []


def test_what_was_fetched_is_not_searched_for_references(server: RecordingServer, calls: Calls) -> None:
    parameters = _parameters(server, calls, text="$parameter:other")

    assert parameters.resolved({"name": "$parameter:text"}) == {"name": "$parameter:other"}


def test_a_reference_without_an_address_is_a_fault(calls: Calls) -> None:
    with pytest.raises(ActionError, match=f"refer to the parameter ids, but {URL_VARIABLE} is not set"):
        Parameters(calls, {}).resolved({"ids": {"$parameter": "ids"}})


def test_a_refused_parameter_is_a_fault(server: RecordingServer, calls: Calls) -> None:
    parameters = _parameters(server, calls)
    server.answer("GET", f"{PATH}?name=ids", json_answer({"title": "No."}, 403))

    with pytest.raises(CallError, match="answered 403"):
        parameters.resolved({"ids": {"$parameter": "ids"}})


def test_an_answer_without_a_value_is_a_fault(server: RecordingServer, calls: Calls) -> None:
    parameters = _parameters(server, calls)
    server.answer("GET", f"{PATH}?name=ids", json_answer(["x"]))

    with pytest.raises(ActionError, match="has no value"):
        parameters.resolved({"ids": {"$parameter": "ids"}})
