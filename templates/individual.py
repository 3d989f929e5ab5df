"""The services of one AI engine: training, evaluation, inference."""

from __future__ import annotations

from collections.abc import Sequence

from hera.workflows import Workflow

from templates import actions
from templates.actions import Action, Uploads
from templates.definitions import Definition, EngineSlot
from templates.parameters import AIEngine, platform_vars
from templates.placement import Placement
from templates.pods import ai_engine_pod
from templates.workflows import step, workflow

DESCRIPTOR = "main-ai-engine"
ENGINE = AIEngine(DESCRIPTOR)


def _service(
    name: str,
    *,
    step_name: str,
    use_case: str,
    placement: Placement,
    inputs: Sequence[Action],
    output: str | None,
    uploads: Uploads,
    pretrained: bool,
) -> Workflow:
    """Build the one pod that fetches the inputs, runs the AI engine and stores its results."""
    model = platform_vars("InputModel")
    fetch_model = [actions.create_directory(model), actions.download_ai_model(ENGINE, model)] if pretrained else []
    pod = ai_engine_pod(
        name=step_name,
        engine=ENGINE,
        placement=placement,
        partner_data=placement is Placement.DATA_PARTNER,
        actions=[
            actions.update_to_running(),
            actions.download_user_vars(ENGINE, platform_vars("InputUserVars")),
            *inputs,
            *fetch_model,
            *([actions.create_directory(output)] if output else []),
            actions.run_ai_engine(ENGINE, use_case),
            actions.end_ai_engine(),
            actions.update_to_succeeded(uploads),
        ],
        # Without it the AI engine waits, and the pod runs, until the Workflow is deleted.
        failure_actions=[actions.end_ai_engine()],
    )
    return workflow(name, [[step(step_name)]], [pod])


def _partner_data(path: str) -> list[Action]:
    return [actions.create_directory(path), actions.prepare_internal_data(path)]


def _training(name: str, use_case: str, pretrained: bool) -> Workflow:
    return _service(
        name,
        step_name="train",
        use_case=use_case,
        placement=Placement.DATA_PARTNER,
        inputs=_partner_data(platform_vars("InputDataTrainingTabular")),
        output=platform_vars("OutputModel"),
        uploads=Uploads(ai_model=actions.ai_model_upload(ENGINE, parent=pretrained)),
        pretrained=pretrained,
    )


def _evaluation(name: str) -> Workflow:
    return _service(
        name,
        step_name="evaluate",
        use_case="evaluating_from_pretrained_model",
        placement=Placement.DATA_PARTNER,
        inputs=_partner_data(platform_vars("InputDataEvaluationTabular")),
        output=None,
        uploads=Uploads(evaluation_metrics=actions.evaluation_metrics_upload(ENGINE)),
        pretrained=True,
    )


def _inference(name: str, report_metadata: bool) -> Workflow:
    data, results = platform_vars("InputDataInference"), platform_vars("OutputInferenceResults")
    inputs = [actions.create_directory(data), actions.download_external_data(data)]
    if report_metadata:
        inputs.append(actions.download_report_metadata(platform_vars("InputDataInferenceReportMetadata")))
    return _service(
        name,
        step_name="infer",
        use_case="inferencing_from_pretrained_model",
        placement=Placement.CENTRAL,
        inputs=inputs,
        output=results,
        uploads=Uploads(generic_file=actions.generic_file_upload(results)),
        pretrained=True,
    )


def _slot(functionality: str, ai_model: bool) -> list[EngineSlot]:
    return [EngineSlot(DESCRIPTOR, functionality, ai_model)]


DEFINITIONS = (
    Definition(
        name="training-from-scratch",
        description="Trains a new model on the data of one data partner.",
        engines=_slot("training_from_scratch", ai_model=False),
        build=lambda: _training("training-from-scratch", "training_from_scratch", pretrained=False),
        platform_data=True,
        gives_model=True,
    ),
    Definition(
        name="training-from-pretrained-model",
        description="Trains an existing model further on the data of one data partner.",
        engines=_slot("training_from_pretrained_model", ai_model=True),
        build=lambda: _training("training-from-pretrained-model", "training_from_pretrained_model", pretrained=True),
        platform_data=True,
        gives_model=True,
    ),
    Definition(
        name="evaluating-from-pretrained-model",
        description="Measures an existing model on the data of one data partner.",
        engines=_slot("evaluating_from_pretrained_model", ai_model=True),
        build=lambda: _evaluation("evaluating-from-pretrained-model"),
        platform_data=True,
        gives_metrics=True,
    ),
    Definition(
        name="inferencing-from-pretrained-model",
        description="Applies an existing model to data that comes with the request.",
        engines=_slot("inferencing_from_pretrained_model", ai_model=True),
        build=lambda: _inference("inferencing-from-pretrained-model", report_metadata=False),
        external_data=True,
        gives_file=True,
    ),
    Definition(
        name="inferencing-from-pretrained-model-with-report-metadata",
        description="Applies an existing model to data that comes with the request, with what a report says of it.",
        engines=_slot("inferencing_from_pretrained_model", ai_model=True),
        build=lambda: _inference("inferencing-from-pretrained-model-with-report-metadata", report_metadata=True),
        external_data=True,
        report_metadata=True,
        gives_file=True,
    ),
)
