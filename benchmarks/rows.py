"""Rows to list: executions of federated size, Schemas, and what a model registry holds."""

from __future__ import annotations

import json
from collections.abc import Callable

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.utils import timezone
from rest_framework.test import APIClient

from executions.models import Execution, ExecutionAIEngine, ExecutionDataPartner
from registry.models import AIEngine, AIEngineVersion, AIModel, EvaluationMetric, GenericFile
from schemas.models import Schema


def client() -> APIClient:
    """Return a client that is somebody."""
    known = APIClient()
    known.force_authenticate(User.objects.create_superuser("bench"))
    return known


def create(rows: int, partners: int, patients: int) -> None:
    """Store `rows` of everything; each execution has `partners` data partners of `patients` patients."""
    engine = AIEngine.objects.create(name="engine", container_name="engine", role_type="main", data_type=["tabular"])
    AIEngine.objects.bulk_create(
        AIEngine(name=f"engine-{number}", container_name="engine", role_type="main") for number in range(rows - 1)
    )
    GenericFile.objects.bulk_create(GenericFile(name=f"file-{number}", contents="c.zip") for number in range(rows))
    versions = AIEngineVersion.objects.bulk_create(
        AIEngineVersion(ai_engine=engine, container_version=str(number), functionalities=["training_from_scratch"])
        for number in range(rows)
    )
    ids = {f"data-partner-{p}": [f"{p:03}-{number:06}" for number in range(patients)] for p in range(partners)}
    models = AIModel.objects.bulk_create(
        AIModel(ai_engine_version=version, name="model", data_partners_patients=ids, data_hash="0", contents="c.zip")
        for version in versions
    )
    EvaluationMetric.objects.bulk_create(
        EvaluationMetric(ai_model=model, name="auc", value=0.9, data_partners_patients=ids, data_hash="0")
        for model in models
    )
    schemas = Schema.objects.bulk_create(
        Schema(
            name=f"schema-{number}",
            type="individual",
            implementation="dummy",
            input_elements={"platform_data": True, "federated_learning_configuration": True},
            ai_elements={"ai_engines": [{"descriptor": "main-ai-engine"}]},
            output_elements={"ai_model": True},
        )
        for number in range(rows)
    )
    executions = Execution.objects.bulk_create(
        Execution(schema=schema, created_at=timezone.now(), number_iterations=5, output_model_name="model")
        for schema in schemas
    )
    clinical = {"breast_cancer": {"baseline": {f"field_{number}": str(number) for number in range(30)}}}
    ExecutionDataPartner.objects.bulk_create(
        ExecutionDataPartner(
            execution=execution,
            position=position,
            name=partner,
            patient_ids=patient_ids,
            entry={"patients": [{"id": patient, "clinical_data": clinical} for patient in patient_ids]},
        )
        for execution in executions
        for position, (partner, patient_ids) in enumerate(ids.items())
    )
    ExecutionAIEngine.objects.bulk_create(
        ExecutionAIEngine(
            execution=execution, position=0, descriptor="main-ai-engine", version=1, user_vars="u.json", snapshot={}
        )
        for execution in executions
    )


def _dumped(*reads: tuple[type[Model], tuple[str, ...]]) -> Callable[[], object]:
    def dump() -> object:
        rows = [list(model._default_manager.values(*fields)) for model, fields in reads]
        return json.dumps(rows, cls=DjangoJSONEncoder)

    return dump


BARE: dict[str, Callable[[], object]] = {
    "executions": _dumped(
        (Execution, ()), (ExecutionDataPartner, ("name", "patient_ids")), (ExecutionAIEngine, ("descriptor", "version"))
    ),
    "schemas": _dumped((Schema, ())),
    "ai_engines": _dumped((AIEngine, ())),
    "ai_engines_versions": _dumped((AIEngineVersion, ())),
    "ai_models": _dumped((AIModel, ())),
    "evaluation_metrics": _dumped((EvaluationMetric, ())),
    "generic_files": _dumped((GenericFile, ())),
}
