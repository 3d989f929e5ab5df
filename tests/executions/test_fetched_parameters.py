"""Cohorts and texts that no argument of a process holds."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from executions.facts import OutputModel, Partner, RenderedExecution
from executions.fetched_parameters import FETCHED, LONGEST_ARGUMENT, PATIENTS, URL_VARIABLE, excesses, reference
from executions.rendering import Rendering, render
from runtime.calls import Calls
from runtime.errors import ActionError
from runtime.step_runner.references import Parameters
from tests.executions.flows import FLOWS, MODEL, PLATFORM
from tests.executions.test_rendering import IMAGES, MANAGERS, SHIPPED, step_runner_arguments

WITH_PATIENTS = [flow for flow in SHIPPED if FLOWS[flow].partners]
WITH_MODEL = [flow for flow in SHIPPED if FLOWS[flow].output_model]
DESCRIPTION = "execution_outputAIModelDescription"
RUNNER = "registry.example/processor-resource-manager:2.0.0"


def cohort(flow: str, patients: int, **changed: Any) -> RenderedExecution:
    """Return an execution with so many patients in all."""
    execution = FLOWS[flow]
    share = patients // len(execution.partners)
    partners = tuple(
        Partner(partner.name, None, tuple(f"{position:03}-{number:06}" for number in range(share)), {})
        for position, partner in enumerate(execution.partners)
    )
    return replace(execution, partners=partners, **changed)


def rendered(execution: RenderedExecution, manifest: Any) -> Rendering:
    return render(
        manifest=manifest,
        execution=execution,
        platform=PLATFORM,
        name="execution-13-1-abcdef",
        callback_images=IMAGES,
        managers=MANAGERS if execution.federated else None,
    )


def one_step(*args: str, image: str = RUNNER, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "args": list(args), **more}
    return {"spec": {"entrypoint": "main", "templates": [{"name": "main", "container": container}]}}


def uploads(metadata: str) -> str:
    return '{"actions": [{"name": "update_to_succeeded", "ai_model_upload_metadata": ' + metadata + "}]}"


@pytest.mark.parametrize("flow", WITH_PATIENTS)
def test_a_small_cohort_stays_in_the_arguments(flow: str) -> None:
    result = rendered(cohort(flow, 1000), SHIPPED[flow])

    assert len(json.loads(result.parameters[PATIENTS])) == len(FLOWS[flow].partners)
    assert URL_VARIABLE not in json.dumps(result.manifest)


@pytest.mark.parametrize("patients", [20_000, 100_000])
@pytest.mark.parametrize("flow", WITH_PATIENTS)
def test_every_argument_can_be_given_to_a_process_whatever_the_cohort(flow: str, patients: int) -> None:
    result = rendered(cohort(flow, patients), SHIPPED[flow])

    arguments = list(step_runner_arguments(result))
    assert max(len(argument.encode()) for argument in arguments) <= LONGEST_ARGUMENT
    assert sum(argument.count(reference(PATIENTS)) for argument in arguments) in (1, 2)
    assert all(json.loads(argument) for argument in arguments)
    assert not list(excesses(result.manifest["spec"]))


def test_100_000_patients_fit_into_what_a_cluster_stores_of_a_workflow() -> None:
    flow = "training-from-scratch-federated-learning"

    result = rendered(cohort(flow, 100_000), SHIPPED[flow])

    # etcd takes 1.5 MiB for an object.
    assert len(json.dumps(result.manifest)) < 100_000


def test_step_runners_are_told_where_to_fetch_and_others_are_not() -> None:
    flow = "training-from-scratch"
    result = rendered(cohort(flow, 20_000), SHIPPED[flow])

    told = {
        container["image"].rpartition("/")[2].partition(":")[0]
        for template in result.manifest["spec"]["templates"]
        for container in [
            *template.get("initContainers", []),
            *template.get("containerSet", {}).get("containers", []),
            *([template["container"]] if "container" in template else []),
        ]
        if {"name": URL_VARIABLE, "value": _url(13)} in container.get("env", [])
    }
    assert told == {"processor-resource-manager"}


def _url(execution_id: int) -> str:
    host = PLATFORM.orchestrator_api_hostname
    return f"http://{host}/api/executions/{execution_id}/retrieve_workflow_parameter/"


def test_a_manifest_names_no_other_address() -> None:
    manifest = one_step("{}", env=[{"name": URL_VARIABLE, "value": "http://elsewhere.example/"}])

    (template,) = rendered(FLOWS["training-from-scratch"], manifest).manifest["spec"]["templates"]

    assert [each["value"] for each in template["container"]["env"] if each["name"] == URL_VARIABLE] == [_url(13)]


@pytest.mark.parametrize("flow", WITH_MODEL)
def test_a_long_description_is_fetched_and_short_ids_stay(flow: str) -> None:
    model = OutputModel("m", "\u5931" * 50_000)

    result = rendered(replace(FLOWS[flow], output_model=model), SHIPPED[flow])

    assert result.parameters[DESCRIPTION] == "$parameter:execution_outputAIModelDescription"
    assert result.parameters[PATIENTS].startswith('{"data-partner-1":[')
    assert not list(excesses(result.manifest["spec"]))


def test_a_text_that_reads_as_a_reference_is_fetched_itself() -> None:
    model = OutputModel("$parameter:execution_outputAIModelDescription", "d", MODEL.merge_type)
    flow = "training-from-scratch"

    result = rendered(replace(FLOWS[flow], output_model=model), SHIPPED[flow])

    assert result.parameters["execution_outputAIModelName"] == "$parameter:execution_outputAIModelName"
    assert result.parameters[DESCRIPTION] == "d"


def test_a_cohort_is_followed_through_the_inputs_of_templates() -> None:
    manifest = one_step(uploads('{"data_partners_patients": {{inputs.parameters.ids}}}'))
    (template,) = manifest["spec"]["templates"]
    template |= {"name": "store", "inputs": {"parameters": [{"name": "ids"}]}}
    value = "{{workflow.parameters.execution_dataPartnerPatients}}"
    call = {"name": "a", "template": "store", "arguments": {"parameters": [{"name": "ids", "value": value}]}}
    manifest["spec"]["templates"].append({"name": "main", "steps": [[call]]})

    assert rendered(cohort("training-from-scratch", 20_000), manifest).parameters[PATIENTS] == reference(PATIENTS)


TAG = "{{workflow.parameters.execution_dataPartnerPatients}}"
_ENGINE = "registry.example/ai-engine:1"


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        (one_step(TAG, image=_ENGINE), "args/0 of the container 'main' of the template 'main'"),
        (one_step(uploads(f'{{"p": {TAG}}}'), command=["other"]), "args/0 of the container 'main'"),
        (one_step("{{ workflow.parameters.json }}", image=_ENGINE), "args/0 of the container 'main'"),
        (one_step("x", image=_ENGINE, env=[{"name": "IDS", "value": TAG}]), "the variable IDS of the container"),
        (one_step("x", env=[{"name": "IDS", "value": TAG}]), "the variable IDS of the container"),
    ],
)
def test_what_nobody_would_fetch_is_measured(manifest: Any, place: str) -> None:
    result = rendered(cohort("training-from-scratch", 20_000), manifest)

    (found,) = excesses(result.manifest["spec"])
    assert place in found.detail
    assert f"with at most {LONGEST_ARGUMENT}" in found.detail
    assert PATIENTS in found.parameters
    assert found.size > LONGEST_ARGUMENT


@pytest.mark.parametrize("used", ["when", "withParam", "script", "artifact"])
def test_what_engines_read_themselves_keeps_its_value(used: str) -> None:
    manifest = one_step("{}")
    main = manifest["spec"]["templates"][0]
    step: dict[str, Any] = {"name": "a", "template": "main"}
    if used == "script":
        main["script"] = main.pop("container") | {"source": TAG}
    elif used == "artifact":
        main["inputs"] = {"artifacts": [{"name": "ids", "path": "/ids", "raw": {"data": TAG}}]}
    else:
        step[used] = TAG
    manifest["spec"]["templates"].append({"name": "calls", "steps": [[step]]})

    assert rendered(cohort("training-from-scratch", 20_000), manifest).parameters[PATIENTS].startswith('{"data-p')


def test_a_text_within_another_keeps_its_value() -> None:
    manifest = one_step(uploads('{"description": "of {{workflow.parameters.execution_outputAIModelDescription}}"}'))
    execution = replace(FLOWS["training-from-scratch"], output_model=OutputModel("m", "d" * LONGEST_ARGUMENT))

    (found,) = excesses(rendered(execution, manifest).manifest["spec"])

    assert found.parameters == {DESCRIPTION}


def test_many_long_arguments_are_measured_together() -> None:
    manifest = one_step(*["x" * 100_000] * 21, image=_ENGINE)

    (found,) = excesses(rendered(FLOWS["training-from-scratch"], manifest).manifest["spec"])

    assert found.place.startswith("the arguments and variables of the container 'main'")


def test_an_argument_of_just_the_limit_stays() -> None:
    execution = cohort("training-from-scratch", 2)
    room = LONGEST_ARGUMENT - len(rendered(execution, one_step(TAG)).parameters[PATIENTS])

    for more, kept in ((0, True), (1, False)):
        manifest = one_step(" " * (room + more) + TAG)
        assert (rendered(execution, copy.deepcopy(manifest)).parameters[PATIENTS] != reference(PATIENTS)) is kept


@pytest.mark.parametrize("name", FETCHED)
def test_a_step_runner_reads_what_stands_for_a_parameter(name: str) -> None:
    stands_for_it = reference(name)
    text = f'{{"field": {stands_for_it if name == PATIENTS else json.dumps(stands_for_it)}}}'

    with pytest.raises(ActionError, match=f"refer to the parameter {name}, but {URL_VARIABLE} is not set"):
        Parameters(Calls(), {}).resolved(json.loads(text))
