"""Federated training: a server on the central node, a client at each data partner, and a step that stores the
result."""

from __future__ import annotations

from hera.workflows import Container, ContainerSet, Workflow
from hera.workflows.models import (
    Arguments,
    Artifact,
    ContinueOn,
    DAGTask,
    DAGTemplate,
    Inputs,
    Parameter,
    Template,
)

from templates import actions
from templates.actions import Action, Uploads
from templates.definitions import Definition, EngineSlot
from templates.federated_pods import (
    CLIENTS_METRICS,
    DATA_PARTNER,
    DATA_PATH,
    PLATFORM_VARS_OF_PARTNER,
    client_pod,
    finalization_pod,
    server_pod,
)
from templates.parameters import AIEngine, platform_vars
from templates.pods import PLATFORM_VARS_SOURCE
from templates.workflows import ENTRYPOINT, workflow_of

DESCRIPTOR = "main-ai-engine"
ENGINE = AIEngine(DESCRIPTOR)
PARTNERS = "execution_dataPartnerPatientsList"
OUTPUT = "output-elements"


def _training(name: str, use_case: str, pretrained: bool) -> Workflow:
    return workflow_of(name, _graph(), [_server(), _client(use_case, pretrained), _finalization(pretrained)])


def _graph() -> Template:
    client = DAGTask(
        name="client",
        template="client",
        with_param=f"{{{{inputs.parameters.{PARTNERS}}}}}",
        arguments=Arguments(
            parameters=[Parameter(name=name, value=f"{{{{item.{name}}}}}") for name in (DATA_PARTNER, DATA_PATH)]
        ),
        # The server decides whether a training goes on without a client.
        continue_on=ContinueOn(failed=True, error=True),
    )
    output = Artifact(name=OUTPUT, from_=f"{{{{tasks.server.outputs.artifacts.{OUTPUT}}}}}")
    finalization = DAGTask(
        name="server-finalization",
        template="server-finalization",
        dependencies=["server"],
        arguments=Arguments(artifacts=[output]),
    )
    return Template(
        name=ENTRYPOINT,
        inputs=Inputs(parameters=[Parameter(name=PARTNERS)]),
        dag=DAGTemplate(tasks=[DAGTask(name="server", template="server"), client, finalization]),
    )


def _server() -> ContainerSet:
    return server_pod(
        engine=ENGINE,
        preparation=[
            actions.update_to_running(),
            actions.download_user_vars(ENGINE, platform_vars("InputUserVars")),
            actions.create_directory(platform_vars("InputModels")),
            actions.create_directory(platform_vars("OutputModel")),
            actions.create_directory(CLIENTS_METRICS),
        ],
        output=OUTPUT,
    )


def _client(use_case: str, pretrained: bool) -> ContainerSet:
    partner, model = f"{{{{inputs.parameters.{DATA_PARTNER}}}}}", platform_vars("InputModel")
    fetch_model = [actions.download_ai_model(ENGINE, model)] if pretrained else []
    preparation: list[Action] = [
        actions.add_data_provider_info(PLATFORM_VARS_SOURCE, PLATFORM_VARS_OF_PARTNER, partner),
        actions.download_user_vars(ENGINE, platform_vars("InputUserVars")),
    ]
    for data in (platform_vars("InputDataTrainingTabular"), platform_vars("InputDataEvaluationTabular")):
        preparation += [actions.create_directory(data), actions.prepare_internal_data(data, partner)]
    preparation += [
        actions.create_directory(model),
        *fetch_model,
        actions.create_directory(platform_vars("OutputModel")),
    ]
    return client_pod(engine=ENGINE, use_case=use_case, preparation=preparation)


def _finalization(pretrained: bool) -> Container:
    uploads = Uploads(
        ai_model=actions.ai_model_upload(ENGINE, parent=pretrained),
        evaluation_metrics=actions.partners_metrics_upload(CLIENTS_METRICS),
    )
    return finalization_pod(
        actions=[
            actions.download_user_vars(ENGINE, platform_vars("InputUserVars")),
            actions.update_to_succeeded(uploads),
        ],
        artifact=OUTPUT,
    )


def _definition(name: str, description: str, use_cases: tuple[str, ...], pretrained: bool) -> Definition:
    more = (*use_cases[1:], "evaluating_from_pretrained_model", "merging_models")
    return Definition(
        name=name,
        description=description,
        engines=[EngineSlot(DESCRIPTOR, use_cases[0], ai_model=pretrained, more_functionalities=more)],
        build=lambda: _training(name, use_cases[0], pretrained),
        platform_data=True,
        federated_learning=True,
        gives_model=True,
        gives_metrics=True,
    )


DEFINITIONS = (
    _definition(
        "training-from-scratch-federated-learning",
        "Trains a new model on the data of several data partners; nothing but models leaves them.",
        ("training_from_scratch", "training_from_pretrained_model"),
        pretrained=False,
    ),
    _definition(
        "training-from-pretrained-model-federated-learning",
        "Trains an existing model further on the data of several data partners; nothing but models leaves them.",
        ("training_from_pretrained_model",),
        pretrained=True,
    ),
)
