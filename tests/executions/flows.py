"""Every flow that exists, as plain data to render."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from executions.facts import (
    ChosenEngine,
    EnginePorts,
    EngineSnapshot,
    OutputModel,
    Partner,
    Platform,
    RenderedEngine,
    RenderedExecution,
)

CAPTURE = json.loads((Path(__file__).parents[1] / "fixtures/captures/workflow-parameters.json").read_text())

_COMMON = CAPTURE["common"]
_PATHS = {
    "input_elements": "/tmp/input_elements/",
    "input_data_training_tabular": "/tmp/input_elements/platform_data/",
    "input_data_training_imagery": "/tmp/input_elements/platform_data/",
    "input_data_evaluation_tabular": "/tmp/input_elements/platform_data/",
    "input_data_evaluation_imagery": "/tmp/input_elements/platform_data/",
    "input_data_inference": "/tmp/input_elements/external_data/",
    "input_data_inference_report_metadata": "/tmp/input_elements/external_data/report_metadata.json",
    "input_ai_elements": "/tmp/ai_elements/",
    "input_user_vars": "/tmp/ai_elements/ai_engine_version_user_vars.json",
    "input_model": "/tmp/ai_elements/ai_model/",
    "input_models": "/tmp/ai_elements/ai_models/",
    "output_elements": "/tmp/output_elements/",
    "output_model": "/tmp/output_elements/ai_model/",
    "output_evaluation_metrics": "/tmp/output_elements/evaluation_metrics.json",
    "output_inference_results": "/tmp/output_elements/generic_file/",
}

# The platform that the captures were made on.
PLATFORM = Platform(
    central_node_label_key="cloudNode",
    central_node_label_value="cloudNode",
    maas_api_hostname=_COMMON["platform_maasApiHostname"],
    orchestrator_api_hostname=_COMMON["platform_orchestratorApiHostname"],
    step_runner_version="2.0.0",
    step_runner_callback_url="/api/callback",
    step_runner_api_host="127.0.0.1:8000",
    federated_manager_version="2.0.0",
    image_registry="localhost:5000",
    paths=_PATHS,
    api_urls={"api_ping_url": "/api/ping", "api_run_url": "/api/run", "api_end_url": "/api/end"},
    api_host="127.0.0.1:8001",
)
SNAPSHOT = EngineSnapshot("dummy", "dummy", 1200, "3584Mi", "3584Mi", "250m", "4000m", 4)
MODEL = OutputModel("init_plt_data", "initial model trained on platform data", "default")
PARTNER_1 = Partner("data-partner-1", None, ("004-000001", "004-000002"), {})
PARTNER_2 = Partner("data-partner-2", None, ("003-000001",), {})

BREAST_CANCER = (
    "breast-density",
    "breast-density-explanation",
    "birads",
    "birads-explanation",
    "medical-report",
)


def engines(*descriptors: str, model: bool = False) -> tuple[RenderedEngine, ...]:
    return tuple(
        RenderedEngine(
            ChosenEngine(descriptor, index + 1, index + 1 if model else None),
            SNAPSHOT,
            EnginePorts(50000 + 2 * index, 50001 + 2 * index),
        )
        for index, descriptor in enumerate(descriptors)
    )


def execution(
    id: int = 7,
    *,
    created_at: datetime = datetime(2026, 11, 21, 5, 31, 14, 759565, UTC),
    partners: tuple[Partner, ...] = (),
    iterations: int | None = None,
    descriptors: tuple[str, ...] = ("main-ai-engine",),
    model: bool = False,
    output: OutputModel | None = None,
) -> RenderedExecution:
    return RenderedExecution(
        id=id,
        created_at=created_at,
        federated=iterations is not None,
        partners=partners,
        number_iterations=iterations,
        engines=engines(*descriptors, model=model),
        output_model=output,
    )


BOTH = (PARTNER_1, PARTNER_2)

FLOWS: dict[str, RenderedExecution] = {
    "training-from-scratch": execution(13, partners=(PARTNER_1,), output=MODEL),
    "training-from-pretrained-model": execution(11, partners=(PARTNER_1,), model=True, output=MODEL),
    "training-from-scratch-federated-learning": execution(15, partners=BOTH, iterations=2, output=MODEL),
    "training-from-pretrained-model-federated-learning": execution(
        16,
        created_at=datetime(2026, 11, 21, 5, 31, 15, 476967, UTC),
        partners=BOTH,
        iterations=2,
        model=True,
        output=MODEL,
    ),
    "evaluating-from-pretrained-model": execution(8, partners=(PARTNER_1,), model=True),
    "inferencing-from-pretrained-model": execution(9, model=True),
    "inferencing-from-pretrained-model-with-report-metadata": execution(10, model=True),
    "joint-breast-cancer-mammography": execution(17, descriptors=BREAST_CANCER, model=True),
    "joint-breast-cancer-mammography-on-one-node": execution(18, descriptors=BREAST_CANCER, model=True),
}
