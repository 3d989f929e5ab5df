"""Sample patients: the Wisconsin diagnostic breast cancer data that scikit-learn ships, as data partners hold them."""

import csv
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

CANCER_TYPE = "breast_cancer"
SHEET_KEY = "fine_needle_aspirate"
SHEET_TITLE = "Fine needle aspirate"
ID_KEY, ID_TITLE = "patient_id", "Patient ID"
LABEL_KEY, LABEL_TITLE = "diagnosis", "Diagnosis"
# In alphabetical order, so that malignant, the last, is the positive class.
BENIGN, MALIGNANT = "benign", "malignant"
PARTNERS = ("data-partner-1", "data-partner-2")

# The sample AI engine's entry in the registry; the fields are those of its API.
AI_ENGINE: dict[str, Any] = {
    "name": "Sample AI engine",
    "container_name": "sample-ai-engine",
    "owner": "orchestrator",
    "description": "Logistic regression over tables of patients: trains, trains on, evaluates, merges and predicts.",
    "data_type": ["tabular"],
    "role_type": "classification",
    "data_considerations": "Numeric columns and a label of two values; empty cells count as the column's mean.",
    "ethics": "A sample: not to be used for patients' care.",
    "caveats": "Learns only what is linear in its columns.",
    "metrics": "accuracy, auc, f1, sensitivity, specificity",
    "license": "Apache-2.0",
}
AI_ENGINE_VERSION: dict[str, Any] = {
    "container_version": "1.0.0",
    "description": "The sample AI engine that ships with the orchestrator.",
    "max_iteration_time": 300,
    "memory_request": "512Mi",
    "memory_limit": "2048Mi",
    "cpu_request": "100m",
    "cpu_limit": "1000m",
}
USER_VARS: dict[str, Any] = {
    "label_column": LABEL_TITLE,
    "id_column": ID_TITLE,
    "epochs": 30,
    "learning_rate": 0.01,
    "seed": 0,
}


@dataclass(frozen=True)
class Patient:
    """One patient: an id, 30 measurements by name, and the diagnosis."""

    id: str
    measurements: tuple[tuple[str, float], ...]
    diagnosis: str


@dataclass(frozen=True)
class Split:
    """Patients of several data partners, and those held back; each is in only one of them."""

    partners: tuple[tuple[Patient, ...], ...]
    held_back: tuple[Patient, ...]


@dataclass(frozen=True)
class SampleData:
    """The patients as they are posted: entries of two data partners and of the held-back part, and the zip."""

    partners: dict[str, dict[str, Any]]
    held_back: dict[str, Any]
    external_data_zip: bytes


def load(seed: int = 0) -> SampleData:
    """Return the sample patients, split for the data partners named PARTNERS; the zip holds the held-back ones."""
    split = split_patients(load_patients(), len(PARTNERS), seed=seed)
    entries = [partner_entry(patients) for patients in split.partners]
    return SampleData(
        partners=dict(zip(PARTNERS, entries, strict=True)),
        held_back=partner_entry(split.held_back),
        external_data_zip=inference_archive(split.held_back),
    )


def load_patients() -> tuple[Patient, ...]:
    """Return the 569 patients of the data set."""
    data = load_breast_cancer()
    names = [str(name) for name in data.feature_names]
    return tuple(
        Patient(
            id=f"wdbc-{number:04d}",
            measurements=tuple(zip(names, (float(value) for value in row), strict=True)),
            diagnosis=MALIGNANT if target == 0 else BENIGN,
        )
        for number, (row, target) in enumerate(zip(data.data, data.target, strict=True), 1)
    )


def split_patients(patients: Sequence[Patient], partners: int = 2, held_back: float = 0.25, seed: int = 0) -> Split:
    """Split patients at random, the same for the same seed, each part with its share of both diagnoses."""
    shares = [(1 - held_back) / partners] * partners + [held_back]
    bounds = np.cumsum([0.0, *shares])
    parts: list[list[Patient]] = [[] for _share in shares]
    generator = np.random.default_rng(seed)
    for diagnosis in (BENIGN, MALIGNANT):
        group = [patient for patient in patients if patient.diagnosis == diagnosis]
        order = generator.permutation(len(group))
        cuts = [round(bound * len(group)) for bound in bounds]
        for part, start, end in zip(parts, cuts, cuts[1:], strict=False):
            part.extend(group[index] for index in order[start:end])
    ordered = [tuple(sorted(part, key=lambda patient: patient.id)) for part in parts]
    return Split(tuple(ordered[:-1]), ordered[-1])


def partner_entry(patients: Sequence[Patient], system_path: str | None = None) -> dict[str, Any]:
    """Return patients as a data partner's entry in `data_partners_patients` of an execution."""
    titles = {ID_KEY: ID_TITLE} | {_key(name): _title(name) for name, _value in patients[0].measurements}
    return {
        "system_path": system_path,
        "fields_definition": {CANCER_TYPE: {SHEET_KEY: titles | {LABEL_KEY: LABEL_TITLE}}},
        "sheets_definition": {SHEET_KEY: SHEET_TITLE},
        "patients": [
            {"id": patient.id, "clinical_data": {CANCER_TYPE: {SHEET_KEY: _fields(patient)}}} for patient in patients
        ],
    }


def inference_archive(patients: Sequence[Patient]) -> bytes:
    """Return a zip with `patients.csv`: ids and measurements, no diagnosis."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([ID_TITLE, *(_title(name) for name, _value in patients[0].measurements)])
    writer.writerows([patient.id, *(value for _name, value in patient.measurements)] for patient in patients)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("patients.csv"), text.getvalue(), zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _fields(patient: Patient) -> dict[str, object]:
    measured = {_key(name): value for name, value in patient.measurements}
    return {ID_KEY: patient.id, **measured, LABEL_KEY: patient.diagnosis}


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _title(name: str) -> str:
    return name.capitalize()
