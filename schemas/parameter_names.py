"""The names of the parameters that the orchestrator provides to a Workflow; `executions` renders the values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.elements import Elements, EngineElement, InputElements

# The misspelling on the wire, and the correct word: every name with the misspelling also exists with the correct word.
MISSPELT, SPELT = "plaform", "platform"

COMMON = frozenset(
    {
        "platform_centralNodeLabelKey",
        "platform_centralNodeLabelValue",
        "platform_maasApiHostname",
        "platform_orchestratorApiHostname",
        "platform_processorResourceManagerVersion",
        "platform_processorResourceManagerCallbackUrl",
        "platform_processorResourceManagerApiHost",
        "platform_federatedLearningManagerVersion",
        "platform_imageRegistry",
        "aiEngine_plaformVarsConfigMapName",
        "aiEngine_plaformVarsApiPingUrl",
        "aiEngine_plaformVarsApiRunUrl",
        "aiEngine_plaformVarsApiEndUrl",
        "aiEngine_plaformVarsApiHost",
        "execution_id",
    }
)

PATHS = frozenset(
    f"aiEngine_plaformVars{name}"
    for name in (
        "InputElements",
        "InputDataTrainingTabular",
        "InputDataTrainingImagery",
        "InputDataEvaluationTabular",
        "InputDataEvaluationImagery",
        "InputDataInference",
        "InputDataInferenceReportMetadata",
        "InputAIElements",
        "InputUserVars",
        "InputModel",
        "InputModels",
        "OutputElements",
        "OutputModel",
        "OutputEvaluationMetrics",
        "OutputInferenceResults",
    )
)

ENGINE = (
    "version",
    "container-name",
    "container-version",
    "container-version-max-iteration-time",
    "container-version-memory-request",
    "container-version-memory-limit",
    "container-version-cpu-request",
    "container-version-cpu-limit",
    "prm-api-host",
    "plaform-vars-api-host",
)
ENGINE_WITH_MODEL = ("ai-model", "ai-model-download-resume-retries")
ONE_PARTNER = ("execution_dataPartner", "execution_dataPartnerDataPath", "execution_dataPartnerPatients")
FEDERATED = (
    "execution_dataPartnerPatients",
    "execution_dataPartnerPatientsList",
    "execution_federatedConfigNumberIterations",
    "execution_federatedConfigNumberDataPartners",
    "execution_communicationAdapterId",
)
OUTPUT_MODEL = ("execution_outputAIModelName", "execution_outputAIModelDescription", "execution_outputAIModelMergeType")


def provided_parameter_names(
    input_elements: Mapping[str, Any], ai_elements: Mapping[str, Any], output_elements: Mapping[str, Any]
) -> set[str]:
    """Return the names of all parameters that an execution of a Schema with these elements gets."""
    elements = Elements.of(input_elements, ai_elements, output_elements)
    names = {*COMMON, *PATHS, *_input_names(elements.input)}
    for engine in elements.engines:
        names.update(_engine_names(engine))
    if elements.output.ai_model:
        names.update(OUTPUT_MODEL)
    return names | {well_spelt(name) for name in names}


def well_spelt(name: str) -> str:
    """Return a parameter's name without the wire's misspelling."""
    return name.replace(MISSPELT, SPELT)


def _input_names(elements: InputElements) -> tuple[str, ...]:
    if elements.federated_learning_configuration:
        return FEDERATED
    return ONE_PARTNER if elements.platform_data else ()


def _engine_names(engine: EngineElement) -> Iterator[str]:
    for name in (*ENGINE, *(ENGINE_WITH_MODEL if engine.ai_model else ())):
        yield f"execution_{engine.descriptor}-{name}"
