import csv
import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest

from runtime.sample_ai_engine.errors import ModelsUnmergeable, UseCaseError
from runtime.sample_ai_engine.model import Model, load, merge, save
from runtime.sample_ai_engine.sample_data import Split, inference_archive, partner_entry
from runtime.sample_ai_engine.server import USE_CASE_NAMES
from runtime.sample_ai_engine.use_cases import USE_CASES
from runtime.sample_ai_engine.variables import UserVariables
from tests.runtime.sample_ai_engine.conftest import Pod


def run(pod: Pod, use_case: str) -> None:
    platform = pod.platform
    USE_CASES[use_case](platform, UserVariables.load(platform.input_user_vars))


def _table(*rows: dict[str, Any], titles: dict[str, str] | None = None) -> dict[str, Any]:
    titles = titles or {"size": "Size", "shape": "Shape", "diagnosis": "Diagnosis"}
    return {
        "fields_definition": {"breast_cancer": {"s": titles}},
        "sheets_definition": {"s": "S"},
        "patients": [
            {"id": str(number), "clinical_data": {"breast_cancer": {"s": row}}} for number, row in enumerate(rows)
        ],
    }


def test_the_server_knows_the_use_cases_before_they_are_loaded() -> None:
    assert set(USE_CASES) == USE_CASE_NAMES


def test_held_back_patients_are_classed_right_after_each_step(pod: Pod, split: Split) -> None:
    pod.give(partner_entry(split.partners[0]))
    run(pod, "training_from_scratch")
    pod.adopt_model()
    pod.give(partner_entry(split.held_back))
    run(pod, "evaluating_from_pretrained_model")
    first = pod.metrics

    pod.give(partner_entry(split.partners[1]))
    run(pod, "training_from_pretrained_model")
    pod.adopt_model()
    pod.give(partner_entry(split.held_back))
    run(pod, "evaluating_from_pretrained_model")

    assert list(first) == ["accuracy", "auc", "f1", "sensitivity", "specificity"]
    assert min(first["accuracy"], pod.metrics["accuracy"]) >= 0.9
    assert pod.metrics != first


def test_merged_models_class_held_back_patients_right(pod: Pod, split: Split) -> None:
    for client, patients in zip(("a", "b"), split.partners, strict=True):
        pod.give(partner_entry(patients))
        run(pod, "training_from_scratch")
        pod.adopt_model(f"model_{client}")

    run(pod, "merging_models")
    pod.adopt_model()
    pod.give(partner_entry(split.held_back))
    run(pod, "evaluating_from_pretrained_model")

    assert load(pod.platform.output_model).samples == 214 + 213
    assert pod.metrics["accuracy"] >= 0.9


@pytest.mark.parametrize(("seed", "same"), [(0, True), (1, False)])
def test_training_is_the_same_for_the_same_seed_only(pod: Pod, split: Split, seed: int, same: bool) -> None:
    pod.give(partner_entry(split.partners[0]))
    run(pod, "training_from_scratch")
    before = (pod.platform.output_model / "model.npz").read_bytes()
    pod.user_vars(seed=seed)

    run(pod, "training_from_scratch")

    assert ((pod.platform.output_model / "model.npz").read_bytes() == before) is same


def _with_model(pod: Pod, split: Split) -> None:
    pod.give(partner_entry(split.partners[0]))
    run(pod, "training_from_scratch")
    pod.adopt_model()


def _external_data(pod: Pod, content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(pod.platform.input_data_inference)


@pytest.mark.parametrize("metadata", [None, {"author": "Dr. A"}])
def test_inference_writes_predictions_and_a_summary(pod: Pod, split: Split, metadata: Any) -> None:
    _with_model(pod, split)
    _external_data(pod, inference_archive(split.held_back))
    if metadata:
        pod.platform.input_data_inference_report_metadata.write_text(json.dumps(metadata))

    run(pod, "inferencing_from_pretrained_model")

    with (pod.platform.output_inference_results / "predictions.csv").open() as file:
        lines = list(csv.DictReader(file))
    truth = {patient.id: patient.diagnosis for patient in split.held_back}
    right = sum(line["prediction"] == truth[line["id"]] for line in lines)
    assert len(lines) == 142
    assert right / len(lines) >= 0.9
    summary = json.loads((pod.platform.output_inference_results / "summary.json").read_text())
    assert summary["rows"] == sum(summary["predictions"].values()) == 142
    assert summary.get("report_metadata") == metadata


def test_inference_reads_workbooks_too(pod: Pod, split: Split) -> None:
    _with_model(pod, split)
    folder = pod.platform.input_data_inference
    folder.mkdir(parents=True)
    workbook = next(pod.platform.input_data_training_tabular.iterdir())
    (folder / workbook.name).write_bytes(workbook.read_bytes())

    run(pod, "inferencing_from_pretrained_model")

    assert json.loads((pod.platform.output_inference_results / "summary.json").read_text())["rows"] == 214


def test_empty_cells_and_constant_columns_are_no_obstacle(pod: Pod) -> None:
    rows = [
        {"size": size, "shape": 7, "diagnosis": "malignant" if size and size > 5 else "benign"}
        for size in (1, 2, None, 8, 9, 10)
    ]
    pod.give(_table(*rows, {"size": 3, "shape": 7, "diagnosis": None}))

    run(pod, "training_from_scratch")

    assert load(pod.platform.output_model).samples == 6


def test_labels_may_be_numbers_and_one_class_alone_can_be_trained_on(pod: Pod) -> None:
    pod.give(_table({"size": 1, "shape": 1, "diagnosis": "0"}, {"size": 2, "shape": 2, "diagnosis": "1"}))
    run(pod, "training_from_scratch")
    pod.adopt_model()
    pod.give(_table({"size": 3, "shape": 2, "diagnosis": 1}))

    run(pod, "training_from_pretrained_model")

    assert load(pod.platform.output_model).classes == ("0", "1")
    # Neither AUC nor specificity is defined for one class.
    assert list(pod.metrics) == ["accuracy", "f1", "sensitivity"]


def test_the_id_column_is_not_learnt_from(pod: Pod) -> None:
    titles = {"id": "Patient ID", "size": "Size", "diagnosis": "Diagnosis"}
    rows = [{"id": str(n), "size": n, "diagnosis": "ab"[n % 2]} for n in range(4)]
    pod.give(_table(*rows, titles=titles))

    run(pod, "training_from_scratch")

    assert load(pod.platform.output_model).features == ("Size",)


def _benign(**more: Any) -> dict[str, Any]:
    return {"size": 1, "shape": 1, "diagnosis": "benign"} | more


def _malignant(**more: Any) -> dict[str, Any]:
    return {"size": 9, "shape": 9, "diagnosis": "malignant"} | more


@pytest.mark.parametrize(
    ("user", "entry", "message"),
    [
        ({"label_column": ""}, _table(_benign()), "label_column is missing"),
        ({"label_column": "Outcome"}, _table(_benign()), "no sheet with a column 'Outcome'"),
        ({"sheet": "T"}, _table(_benign()), "no sheet 'T'"),
        ({"epochs": 0}, _table(_benign()), "epochs must be"),
        ({"learning_rate": "fast"}, _table(_benign()), "learning_rate must be a number"),
        ({"seed": -1}, _table(_benign()), "seed must be"),
        ({"classes": ["benign"]}, _table(_benign()), "classes must be the label's two values"),
        ({"feature_columns": ["Size", "Colour"]}, _table(_benign(), _malignant()), "no column 'Colour'"),
        ({"feature_columns": ["Size"]}, _table(_benign(size="big"), _malignant()), "'Size' of .* holds text"),
        ({}, _table(), "has no rows"),
        ({}, _table(_benign()), "must have two values, not 1"),
        ({}, _table(_benign(), _malignant(), _benign(diagnosis="?")), "must have two values, not 3"),
        ({}, _table(_benign(size="x", shape="y"), _malignant()), "no numeric column"),
        ({"classes": ["no", "yes"]}, _table(_benign(), _malignant()), "other than the model's two classes"),
        ({"learning_rate": 10, "epochs": 5}, _table(_benign(diagnosis=None)), "two values, not 0"),
    ],
)
def test_what_can_not_be_learnt_from_is_said_clearly(
    pod: Pod, user: dict[str, Any], entry: dict[str, Any], message: str
) -> None:
    pod.user_vars(**user)
    pod.give(entry)

    with pytest.raises(UseCaseError, match=message):
        run(pod, "training_from_scratch")


@pytest.mark.parametrize(
    ("use_case", "message"),
    [
        ("training_from_scratch", "no workbook"),
        ("training_from_pretrained_model", "no model in"),
        ("evaluating_from_pretrained_model", "no model in"),
        ("merging_models", "no model_<client>"),
        ("inferencing_from_pretrained_model", "no model in"),
    ],
)
def test_what_is_not_there_is_said_clearly(pod: Pod, use_case: str, message: str) -> None:
    with pytest.raises(UseCaseError, match=message):
        run(pod, use_case)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"Patient ID,Mean radius\n1,2\n", "patients.csv has no column 'Mean texture'"),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "is not a readable CSV"),
        (b"a,a\n1,2\n", "two columns with the same title"),
    ],
)
def test_external_data_that_do_not_fit_are_said_clearly(pod: Pod, split: Split, content: bytes, message: str) -> None:
    _with_model(pod, split)
    folder = pod.platform.input_data_inference
    folder.mkdir(parents=True)
    (folder / "patients.csv").write_bytes(content)

    with pytest.raises(UseCaseError, match=message):
        run(pod, "inferencing_from_pretrained_model")


def _model(samples: int, mean: float, weight: float, features: tuple[str, ...] = ("Size",)) -> Model:
    count = len(features)
    return Model(
        features=features,
        classes=("benign", "malignant"),
        label_column="Diagnosis",
        samples=samples,
        mean=np.full(count, mean),
        variance=np.full(count, 4.0),
        weights=np.full(count, weight),
        bias=np.asarray(0.5),
    )


def test_a_merge_weighs_by_samples_whatever_the_standardisation() -> None:
    one, other = _model(100, 10.0, 2.0), _model(300, 20.0, 6.0)

    merged = merge([one, other])

    weights, bias = merged.raw()
    assert weights == pytest.approx([0.25 * 1.0 + 0.75 * 3.0])
    assert bias == pytest.approx(0.25 * (0.5 - 10.0) + 0.75 * (0.5 - 60.0))
    assert merged.mean == pytest.approx([17.5])
    assert merged.variance == pytest.approx([4.0 + 0.25 * 7.5**2 + 0.75 * 2.5**2])


def test_models_of_different_columns_are_not_merged() -> None:
    with pytest.raises(UseCaseError, match="different columns"):
        merge([_model(1, 0, 0), _model(1, 0, 0, ("Size", "Shape"))])


def test_models_that_cannot_be_merged_are_named(pod: Pod) -> None:
    nothing, other = _model(0, 1.0, 2.0), _model(5, 1.0, 2.0, ("Size", "Shape"))
    models = {"a": _model(5, 1.0, 2.0), "b": _model(5, 3.0, 2.0), "none": nothing, "other": other}
    for value in ("nan", "inf"):
        models[value] = _model(5, 1.0, float(value))
    for client, model in models.items():
        save(model, pod.platform.input_models / f"model_{client}")
    (pod.platform.input_models / "model_empty").mkdir()

    with pytest.raises(ModelsUnmergeable) as caught:
        run(pod, "merging_models")

    assert set(caught.value.clients) == {"none", "other", "nan", "inf", "empty"}


def test_a_model_is_found_in_its_only_subfolder(pod: Pod) -> None:
    save(_model(5, 1.0, 2.0), pod.root / "m" / "ai_model")

    assert load(pod.root / "m").samples == 5


@pytest.mark.parametrize("damage", ["format", "features", "npz", "pickle"])
def test_a_damaged_model_is_refused(pod: Pod, damage: str) -> None:
    folder = pod.root / "m"
    save(_model(5, 1.0, 2.0), folder)
    description = json.loads((folder / "model.json").read_text())
    if damage == "npz":
        (folder / "model.npz").write_bytes(b"none")
    elif damage == "pickle":
        np.savez(folder / "model.npz", mean=np.array([object()], dtype=object))
    else:
        description[damage] = ["x", "y"]
        (folder / "model.json").write_text(json.dumps(description))

    with pytest.raises(UseCaseError, match="of another kind"):
        load(folder)


def test_variables_and_metadata_may_begin_with_a_byte_order_mark(pod: Pod) -> None:
    path = pod.root / "vars.json"
    path.write_bytes(b'\xef\xbb\xbf{"epochs": 7}')

    assert UserVariables.load(path).epochs == 7
