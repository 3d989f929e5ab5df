from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from executions.facts import SchemaFacts
from executions.validation import Rules, execution_faults, parse_request, system_path_fault
from schemas.elements import Elements
from tests.executions.conftest import (
    FEDERATED,
    INFERENCE,
    TRAINING,
    federated_document,
    inference_document,
    platform_data,
    training_document,
)

RULES = Rules(("data-partner-1", "data-partner-2"), {"data-partner-1": ["/srv/data"]})
USER_VARS = "main-ai-engine_version_user_vars"
PARTNERS = "/data/input_elements/platform_data/data_partners_patients"
ENGINES = "/data/ai_elements/ai_engines"


def facts(given: dict[str, Any] = TRAINING, name: str = "training") -> SchemaFacts:
    elements = Elements.of(given["input_elements"], given["ai_elements"], given["output_elements"])
    return SchemaFacts(name, "argo_workflows", elements)


def pointers(document: Any, files: Any = (USER_VARS,), schema: SchemaFacts | None = None) -> list[str]:
    return [fault.pointer for fault in execution_faults(document, files, schema or facts(), RULES)]


@pytest.mark.parametrize(
    ("document", "files", "schema"),
    [
        (training_document(), [USER_VARS], facts()),
        (federated_document(), [USER_VARS], facts(FEDERATED)),
        (inference_document(), [USER_VARS, "external_data", "report_metadata"], facts(INFERENCE)),
    ],
)
def test_what_fits_has_no_faults(document: Any, files: Any, schema: SchemaFacts) -> None:
    assert execution_faults(document, files, schema, RULES) == []


def without(*path: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


def put(*path: Any) -> Callable[[Any], None]:
    *keys, last, value = path

    def change(document: Any) -> None:
        for key in keys:
            document = document[key]
        document[last] = value

    return change


DATA = ("input_elements", "platform_data", "data_partners_patients")
ONE = (*DATA, "data-partner-1")
PATIENT = {"id": "004-000001", "clinical_data": None}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (without("schema"), "/data/schema"),
        (put("color", "red"), "/data/color"),
        (put("input_elements", []), "/data/input_elements"),
        (without("input_elements"), "/data/input_elements/platform_data"),
        (put("input_elements", "color", 1), "/data/input_elements/color"),
        (
            put("input_elements", "federated_learning_configuration", {"number_iterations": 2}),
            "/data/input_elements/federated_learning_configuration",
        ),
        (put(*DATA, {}), PARTNERS),
        (put(*DATA, platform_data("data-partner-1", "data-partner-2")["data_partners_patients"]), PARTNERS),
        (put(*DATA, platform_data("no/body")["data_partners_patients"]), f"{PARTNERS}/no~1body"),
        (without(*ONE, "fields_definition"), f"{PARTNERS}/data-partner-1/fields_definition"),
        (without(*ONE, "sheets_definition"), f"{PARTNERS}/data-partner-1/sheets_definition"),
        (without(*ONE, "system_path"), f"{PARTNERS}/data-partner-1/system_path"),
        (without(*ONE, "patients"), f"{PARTNERS}/data-partner-1/patients"),
        (put(*ONE, "patients", []), f"{PARTNERS}/data-partner-1/patients"),
        (put(*ONE, "patients", [PATIENT, PATIENT]), f"{PARTNERS}/data-partner-1/patients/1/id"),
        (put(*ONE, "patients", [{"id": 4, "clinical_data": {}}]), f"{PARTNERS}/data-partner-1/patients/0/id"),
        (put(*ONE, "patients", [{"id": "4"}]), f"{PARTNERS}/data-partner-1/patients/0/clinical_data"),
        (put(*ONE, "patients", ["4"]), f"{PARTNERS}/data-partner-1/patients/0"),
        (put(*ONE, "system_path", "data"), f"{PARTNERS}/data-partner-1/system_path"),
        (put(*ONE, "system_path", "/data/../etc"), f"{PARTNERS}/data-partner-1/system_path"),
        (put(*ONE, "system_path", "/{{workflow.name}}"), f"{PARTNERS}/data-partner-1/system_path"),
        (without("ai_elements"), ENGINES),
        (put("ai_elements", "ai_engines", []), ENGINES),
        (put("ai_elements", "ai_engines", 0, "descriptor", "other"), f"{ENGINES}/0/descriptor"),
        (put("ai_elements", "ai_engines", 0, "version", "1"), f"{ENGINES}/0/version"),
        (put("ai_elements", "ai_engines", 0, "version", True), f"{ENGINES}/0/version"),
        (put("ai_elements", "ai_engines", 0, "version", 0), f"{ENGINES}/0/version"),
        (put("ai_elements", "ai_engines", 0, "version", 2**63), f"{ENGINES}/0/version"),
        (put("ai_elements", "ai_engines", 0, "ai_model", 1), f"{ENGINES}/0/ai_model"),
        (
            put("ai_elements", "ai_engines", [{"descriptor": "main-ai-engine", "version": 1}] * 2),
            f"{ENGINES}/1/descriptor",
        ),
        (put("output_elements", {}), "/data/output_elements/ai_model"),
        (put("output_elements", "ai_model", "name", ""), "/data/output_elements/ai_model/name"),
        (put("output_elements", "ai_model", "name", "x" * 101), "/data/output_elements/ai_model/name"),
        (put("output_elements", "ai_model", "merge_type", "x" * 51), "/data/output_elements/ai_model/merge_type"),
        (without("output_elements", "ai_model", "description"), "/data/output_elements/ai_model/description"),
        (put("output_elements", "generic_file", {}), "/data/output_elements/generic_file"),
    ],
)
def test_each_fault_is_pointed_at(change: Callable[[Any], None], pointer: str) -> None:
    document = copy.deepcopy(training_document())
    change(document)

    assert pointer in pointers(document)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], [f"/files/{USER_VARS}"]),
        ([USER_VARS, "external_data"], ["/files/external_data"]),
        (["other_version_user_vars", USER_VARS], ["/files/other_version_user_vars"]),
    ],
)
def test_file_parts_are_exactly_those_asked_for(files: list[str], expected: list[str]) -> None:
    assert pointers(training_document(), files) == expected


def test_inference_needs_its_files_and_a_model() -> None:
    document = inference_document()
    del document["ai_elements"]["ai_engines"][0]["ai_model"]

    assert pointers(document, [], facts(INFERENCE)) == [
        f"{ENGINES}/0/ai_model",
        "/files/external_data",
        "/files/report_metadata",
        f"/files/{USER_VARS}",
    ]


def test_a_federated_execution_needs_two_partners_and_rounds() -> None:
    document = training_document()

    assert pointers(document, [USER_VARS], facts(FEDERATED)) == [
        "/data/input_elements/federated_learning_configuration",
        PARTNERS,
    ]


@pytest.mark.parametrize("rounds", [0, -1, "2", 2.5, None, 10_001, 10**9, 2**31])
def test_rounds_are_whole_and_positive(rounds: Any) -> None:
    document = federated_document()
    document["input_elements"]["federated_learning_configuration"]["number_iterations"] = rounds

    assert pointers(document, [USER_VARS], facts(FEDERATED)) == [
        "/data/input_elements/federated_learning_configuration/number_iterations"
    ]


def test_all_faults_come_at_once() -> None:
    document = training_document(color="red", output_elements={})
    document["ai_elements"]["ai_engines"][0]["version"] = -1

    assert len(pointers(document, ["external_data"])) == 5


@pytest.mark.parametrize("document", [{}, {"schema": 3}, {"schema": "x", "ai_elements": {"ai_engines": [[]]}}])
def test_the_wrong_types_do_no_harm(document: Any) -> None:
    assert pointers(document)


def test_clinical_data_are_never_quoted() -> None:
    document = training_document()
    entry = document["input_elements"]["platform_data"]["data_partners_patients"]["data-partner-1"]
    entry["patients"][0] |= {"clinical_data": "a secret diagnosis"}

    [fault] = execution_faults(document, [USER_VARS], facts(), RULES)

    assert "secret" not in fault.detail


@pytest.mark.parametrize("path", [None, "", "/mnt/data", "/mnt/data/", "/a b/ö-1_2.3"])
def test_paths_that_may_be_mounted(path: str | None) -> None:
    assert system_path_fault(path) == ""


@pytest.mark.parametrize("path", ["relative", "/a/..", "/a\n", '/a"b', "/$HOME", "/a\\b", "/{x}"])
def test_paths_that_may_not(path: str) -> None:
    assert system_path_fault(path)


def test_a_request_is_read_from_its_document() -> None:
    document = federated_document()

    request = parse_request(document, facts(FEDERATED, "federated"))

    assert [partner.name for partner in request.partners] == ["data-partner-1", "data-partner-2"]
    assert request.partners[0].patient_ids == ("004-000001", "004-000002")
    assert request.number_iterations == 2
    assert request.engines[0].version == 1
    assert request.output_model is not None
    assert request.output_model.merge_type == ""


FEDERATED_AT = "/data/input_elements/federated_learning_configuration"


def federated_faults(defaults: dict[str, Any] | None = None, **options: Any) -> list[str]:
    document = federated_document()
    document["input_elements"]["federated_learning_configuration"] |= options
    given = {**FEDERATED, "input_elements": {**FEDERATED["input_elements"], "federated_learning_defaults": defaults}}
    return pointers(document, schema=facts(given, "federated"))


@pytest.mark.parametrize(
    "options",
    [
        {"on_missing_clients": "fail"},
        {"on_missing_clients": "continue", "minimum_clients": 2},
        {"aggregation": "trimmed_mean", "trim": 0},
        {"aggregation": "trimmed_mean"},
        {"round_deadline_seconds": 1, "max_model_size": 1},
    ],
)
def test_a_federated_training_may_say_how_its_rounds_go(options: dict[str, Any]) -> None:
    assert federated_faults(**options) == []


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"minimum_clients": 0, "on_missing_clients": "continue"}, "minimum_clients"),
        ({"minimum_clients": 3, "on_missing_clients": "continue"}, "minimum_clients"),
        ({"minimum_clients": True, "on_missing_clients": "continue"}, "minimum_clients"),
        ({"minimum_clients": 2}, "minimum_clients"),
        ({"minimum_clients": 2, "on_missing_clients": "fail"}, "minimum_clients"),
        ({"on_missing_clients": "continue"}, "on_missing_clients"),
        ({"on_missing_clients": "wait"}, "on_missing_clients"),
        ({"round_deadline_seconds": 0}, "round_deadline_seconds"),
        ({"round_deadline_seconds": 1.5}, "round_deadline_seconds"),
        ({"aggregation": "mean"}, "aggregation"),
        ({"trim": 0.1}, "trim"),
        ({"aggregation": "median", "trim": 0.1}, "trim"),
        ({"aggregation": "trimmed_mean", "trim": 0.5}, "trim"),
        ({"max_model_size": 0}, "max_model_size"),
        ({"max_model_size": "1 GB"}, "max_model_size"),
        ({"minimum": 2}, "minimum"),
    ],
)
def test_options_that_cannot_be_kept_to_are_pointed_at(options: dict[str, Any], field: str) -> None:
    assert federated_faults(**options) == [f"{FEDERATED_AT}/{field}"]


def test_what_the_schema_says_need_not_be_said_again() -> None:
    assert federated_faults({"on_missing_clients": "continue", "minimum_clients": 2}, minimum_clients=1) == []


def test_what_belongs_to_another_choice_of_the_schema_goes_with_it() -> None:
    defaults = {"on_missing_clients": "continue", "minimum_clients": 2, "aggregation": "trimmed_mean", "trim": 0.1}

    assert federated_faults(defaults, on_missing_clients="fail", aggregation="median") == []


def test_a_schema_may_ask_for_more_clients_than_there_are_partners() -> None:
    assert federated_faults({"on_missing_clients": "continue", "minimum_clients": 3}) == [PARTNERS]
