"""A federated training of as many patients as a hospital has, over the local engine."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.sample_ai_engine import sample_data
from tests.live.federated import ONE, OTHER, post, run_of, wait_for
from usage_scripts.demo_day import Api, model_id
from usage_scripts.local_service import LocalService

pytestmark = pytest.mark.live

PATIENTS = 100_000
# Pods give way to everything else, and the machine may be busy.
PATIENCE_SECONDS = 600
_ONE_OF = 100
_FIELDS = {"patient_id": sample_data.ID_TITLE, "radius": "Radius", "diagnosis": sample_data.LABEL_TITLE}


def partner(position: int, patients: int) -> dict[str, Any]:
    """Return a data partner's entry: one measurement of some patients, by which the diagnosis can be told."""
    return {
        "system_path": None,
        "fields_definition": {sample_data.CANCER_TYPE: {sample_data.SHEET_KEY: _FIELDS}},
        "sheets_definition": {sample_data.SHEET_KEY: sample_data.SHEET_TITLE},
        "patients": [_patient(position, number) for number in range(patients)],
    }


def _patient(position: int, number: int) -> dict[str, Any]:
    """Return a patient; of most nothing is known, so that the cohort is large and the training short."""
    patient_id, kind = f"{position:03}-{number:06}", number // _ONE_OF % 2
    diagnosis = sample_data.MALIGNANT if kind else sample_data.BENIGN
    fields = {"patient_id": patient_id, "radius": str(1 + kind), "diagnosis": diagnosis}
    known = {sample_data.CANCER_TYPE: {sample_data.SHEET_KEY: fields}}
    return {"id": patient_id, "clinical_data": None if number % _ONE_OF else known}


def test_100_000_patients_pass_a_federated_training(service: LocalService) -> None:
    api = Api(service.url, service.token)
    patients = {ONE: partner(1, PATIENTS // 2), OTHER: partner(2, PATIENTS // 2)}

    execution = post(api, patients=patients, epochs=1, number_iterations=1)
    wait_for("the training's end", lambda: run_of(api, execution)["finished_at"], PATIENCE_SECONDS)

    last = api.call("GET", f"executions/{execution['id']}/")
    assert last["state"]["status"] == "succeeded", last["state"]
    assert len(last["output_elements"]["evaluation_metrics"]) == 2 * 5
    stored = api.call("GET", f"ai_models/{model_id(last)}/")["data_partners_patients"]
    assert {name: len(ids) for name, ids in stored.items()} == {ONE: PATIENTS // 2, OTHER: PATIENTS // 2}
