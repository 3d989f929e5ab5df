import csv
import io
import json
import zipfile

from runtime.sample_ai_engine.sample_data import (
    Split,
    inference_archive,
    load,
    load_patients,
    partner_entry,
    split_patients,
)


def test_nobody_is_in_two_parts_and_nobody_is_lost(split: Split) -> None:
    parts = [*split.partners, split.held_back]
    ids = [patient.id for part in parts for patient in part]

    assert len(ids) == len(set(ids)) == 569
    assert [len(part) for part in parts] == [214, 213, 142]


def test_each_part_has_its_share_of_both_diagnoses(split: Split) -> None:
    for part in (*split.partners, split.held_back):
        share = sum(patient.diagnosis == "malignant" for patient in part) / len(part)
        assert abs(share - 212 / 569) < 0.01


def test_the_split_is_the_same_for_the_same_seed_only() -> None:
    patients = load_patients()

    assert split_patients(patients, seed=1) == split_patients(patients, seed=1)
    assert split_patients(patients, seed=1) != split_patients(patients, seed=2)


def test_an_entry_has_a_definition_for_every_field(split: Split) -> None:
    entry = json.loads(json.dumps(partner_entry(split.held_back)))

    assert sorted(entry) == ["fields_definition", "patients", "sheets_definition", "system_path"]
    assert len(entry["patients"]) == 142
    (sheet,) = entry["sheets_definition"]
    defined = set(entry["fields_definition"]["breast_cancer"][sheet])
    for patient in entry["patients"]:
        assert set(patient["clinical_data"]["breast_cancer"][sheet]) == defined


def test_the_inference_archive_has_no_diagnosis(split: Split) -> None:
    with zipfile.ZipFile(io.BytesIO(inference_archive(split.held_back))) as archive:
        rows = list(csv.reader(io.StringIO(archive.read("patients.csv").decode())))

    assert archive.namelist() == ["patients.csv"]
    assert len(rows) == 143
    assert rows[0][:2] == ["Patient ID", "Mean radius"]
    assert "Diagnosis" not in rows[0]
    assert not {"benign", "malignant"} & {value for row in rows for value in row}


def test_the_entries_of_two_partners_are_loaded(split: Split) -> None:
    data = load()

    assert list(data.partners) == ["data-partner-1", "data-partner-2"]
    assert data.partners["data-partner-2"] == partner_entry(split.partners[1])
    assert data.held_back == partner_entry(split.held_back)
    assert data.external_data_zip == inference_archive(split.held_back)
