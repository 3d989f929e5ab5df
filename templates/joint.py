"""The breast cancer pipeline: five AI engines over one mammography, and one file of their results."""

from __future__ import annotations

from collections.abc import Sequence

from hera.workflows import ContainerSet, Workflow

from templates import actions
from templates.actions import Action, Uploads
from templates.definitions import Definition, EngineSlot
from templates.parameters import AIEngine, platform_vars
from templates.placement import Placement
from templates.pods import AI_ELEMENTS, OUTPUT_ELEMENTS, ai_engine_pod, joint_pod, step_runner_pod
from templates.workflows import step, workflow

USE_CASE = "inferencing_from_pretrained_model"
DESCRIPTORS = (
    "breast-density",
    "breast-density-explanation",
    "birads",
    "birads-explanation",
    "medical-report",
)
ENGINES = tuple(AIEngine(descriptor) for descriptor in DESCRIPTORS)


def _fetch_input() -> list[Action]:
    data = platform_vars("InputDataInference")
    return [
        actions.create_directory(data),
        actions.download_external_data(data),
        actions.download_report_metadata(platform_vars("InputDataInferenceReportMetadata")),
    ]


def _parallel(name: str) -> Workflow:
    """Build one pod for each AI engine, side by side, and one that stores their results together."""
    pods = [_engine_pod(engine) for engine in ENGINES]
    store = step_runner_pod(
        name="store-results",
        actions=[actions.update_to_succeeded(Uploads(generic_file=actions.generic_file_upload(f"{OUTPUT_ELEMENTS}/")))],
        artifacts={engine.descriptor: f"{OUTPUT_ELEMENTS}/{engine.descriptor}/generic_file" for engine in ENGINES},
    )
    results = {name: f"{{{{steps.{name}.outputs.artifacts.results}}}}" for name in DESCRIPTORS}
    groups = [[step(descriptor) for descriptor in DESCRIPTORS], [step("store-results", results)]]
    return workflow(name, groups, [*pods, store])


def _engine_pod(engine: AIEngine) -> ContainerSet:
    model, results = platform_vars("InputModel"), platform_vars("OutputInferenceResults")
    return ai_engine_pod(
        name=engine.descriptor,
        engine=engine,
        placement=Placement.CENTRAL,
        actions=[
            actions.update_to_running(),
            actions.download_user_vars(engine, platform_vars("InputUserVars")),
            *_fetch_input(),
            actions.create_directory(model),
            actions.download_ai_model(engine, model),
            actions.create_directory(results),
            actions.run_ai_engine(engine, USE_CASE),
            actions.end_ai_engine(),
        ],
        failure_actions=[actions.end_ai_engine()],
        results=results,
    )


def _sequence(name: str) -> Workflow:
    """Build one pod of all AI engines, which take their turns over the same input."""
    steps: list[Action] = [actions.update_to_running(), *_fetch_input()]
    for engine in ENGINES:
        steps += _turn(engine)
    steps.append(actions.update_to_succeeded(Uploads(generic_file=actions.generic_file_upload(f"{OUTPUT_ELEMENTS}/"))))
    pod = joint_pod(
        name="pipeline",
        engines=ENGINES,
        placement=Placement.CENTRAL,
        actions=steps,
        failure_actions=[actions.end_ai_engine(engine.own_api_host) for engine in ENGINES],
    )
    return workflow(name, [[step("pipeline")]], [pod])


def _turn(engine: AIEngine) -> Sequence[Action]:
    """Return the actions of one AI engine, in the folders that replace its usual paths."""
    own_elements = f"{AI_ELEMENTS}/{engine.descriptor}"
    model = f"{own_elements}/ai_model/"
    return [
        actions.create_directory(model),
        actions.download_user_vars(engine, f"{own_elements}/ai_engine_version_user_vars.json"),
        actions.download_ai_model(engine, model),
        actions.create_directory(f"{OUTPUT_ELEMENTS}/{engine.descriptor}/generic_file/"),
        actions.run_ai_engine(engine, USE_CASE, engine.own_api_host, engine.own_callback_host),
        actions.end_ai_engine(engine.own_api_host),
    ]


def _definition(name: str, description: str, parallel: bool) -> Definition:
    return Definition(
        name=name,
        type="joint",
        description=description,
        engines=[EngineSlot(descriptor, USE_CASE, ai_model=True) for descriptor in DESCRIPTORS],
        build=lambda: _parallel(name) if parallel else _sequence(name),
        external_data=True,
        report_metadata=True,
        gives_file=True,
    )


DEFINITIONS = (
    _definition(
        "joint-breast-cancer-mammography",
        "Breast density, BIRADS, their explanations and a medical report of one mammography, side by side.",
        parallel=True,
    ),
    _definition(
        "joint-breast-cancer-mammography-on-one-node",
        "Breast density, BIRADS, their explanations and a medical report of one mammography, in sequence on one node.",
        parallel=False,
    ),
)
