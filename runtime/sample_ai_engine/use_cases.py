"""The five use cases of the sample AI engine."""

import csv
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt

from runtime.sample_ai_engine.errors import ModelsUnmergeable, UseCaseError
from runtime.sample_ai_engine.metrics import THRESHOLD, metrics_of
from runtime.sample_ai_engine.model import Floats, Model, load, merge, misfits, new_model, save, train
from runtime.sample_ai_engine.tables import Table, Value, join, read_inference_tables, read_platform_tables
from runtime.sample_ai_engine.variables import PlatformVariables, UserVariables, read_object

log = logging.getLogger(__name__)

Labels = npt.NDArray[np.int64]


def training_from_scratch(platform: PlatformVariables, user: UserVariables) -> None:
    """Train a new model on the data partner's patients."""
    if not user.label_column:
        raise UseCaseError("user variables: label_column is missing")
    table = join(read_platform_tables(platform.input_data_training_tabular), user.label_column, user.sheet)
    model = new_model(
        _features(table, user), _classes(table, user), user.label_column, _matrix(table, _features(table, user))
    )
    _train_and_save(model, table, platform, user)


def training_from_pretrained_model(platform: PlatformVariables, user: UserVariables) -> None:
    """Train a model further, on the data partner's patients."""
    model = load(platform.input_model)
    table = join(read_platform_tables(platform.input_data_training_tabular), model.label_column, user.sheet)
    _train_and_save(model, table, platform, user)


def evaluating_from_pretrained_model(platform: PlatformVariables, user: UserVariables) -> None:
    """Measure a model on the data partner's patients."""
    model = load(platform.input_model)
    table = join(read_platform_tables(platform.input_data_evaluation_tabular), model.label_column, user.sheet)
    positive, values = _labelled(table, model)
    _write_metrics(model, positive, values, "patients it was evaluated on", platform.output_evaluation_metrics)
    log.info("evaluated on %d rows", len(positive))


def merging_models(platform: PlatformVariables, _user: UserVariables) -> None:
    """Merge the clients' models, weighted by their numbers of rows."""
    folders = sorted(folder for folder in platform.input_models.glob("model_*") if folder.is_dir())
    if not folders:
        raise UseCaseError(f"there is no model_<client> in {platform.input_models}")
    models: dict[str, Model] = {}
    unmergeable: dict[str, str] = {}
    for folder in folders:
        client = folder.name.removeprefix("model_")
        try:
            models[client] = load(folder)
        except UseCaseError as error:
            unmergeable[client] = f"cannot be used: {error}"
    unmergeable |= misfits(models)
    if unmergeable:
        raise ModelsUnmergeable(unmergeable)
    save(merge(list(models.values())), platform.output_model)
    log.info("merged %d models", len(models))


def inferencing_from_pretrained_model(platform: PlatformVariables, user: UserVariables) -> None:
    """Predict for every row of the external data; write predictions.csv and summary.json."""
    model = load(platform.input_model)
    tables = read_inference_tables(platform.input_data_inference)
    lines: list[dict[str, object]] = []
    for table in tables:
        if not table.rows:
            continue
        identifiers = table.column(user.id_column) if user.id_column in table.titles else [None] * len(table.rows)
        probabilities = model.probabilities(_matrix(table, model.features))
        for number, (identifier, probability) in enumerate(zip(identifiers, probabilities, strict=True), 1):
            lines.append(
                {
                    "file": table.source,
                    "row": number,
                    "id": _label(identifier),
                    "prediction": model.classes[int(probability >= THRESHOLD)],
                    f"probability_{model.classes[1]}": f"{probability:.6f}",
                }
            )
    if not lines:
        raise UseCaseError("the external data have no rows")
    _write_inference(model, lines, platform)
    log.info("predicted for %d rows", len(lines))


USE_CASES: dict[str, Callable[[PlatformVariables, UserVariables], None]] = {
    "training_from_scratch": training_from_scratch,
    "training_from_pretrained_model": training_from_pretrained_model,
    "evaluating_from_pretrained_model": evaluating_from_pretrained_model,
    "merging_models": merging_models,
    "inferencing_from_pretrained_model": inferencing_from_pretrained_model,
}


def _train_and_save(model: Model, table: Table, platform: PlatformVariables, user: UserVariables) -> None:
    positive, values = _labelled(table, model)
    trained = train(model, values, positive, user)
    save(trained, platform.output_model)
    _write_metrics(trained, positive, values, "patients it was trained on", platform.output_evaluation_metrics)
    log.info("trained on %d rows of %d columns", *values.shape)


def _features(table: Table, user: UserVariables) -> tuple[str, ...]:
    """Return the columns to learn from: the requested ones, else all numeric ones except the label and the id."""
    if user.feature_columns:
        return user.feature_columns
    found = tuple(
        title
        for title in table.titles
        if title not in (user.label_column, user.id_column) and _is_numeric(table.column(title))
    )
    if not found:
        raise UseCaseError(f"{table.source} has no numeric column to learn from")
    return found


def _is_numeric(values: list[Value]) -> bool:
    present = [value for value in values if value is not None]
    return bool(present) and all(isinstance(value, float) for value in present)


def _classes(table: Table, user: UserVariables) -> tuple[str, str]:
    found = user.classes or sorted({_label(value) for value in table.column(user.label_column) if value is not None})
    if len(found) != 2:
        raise UseCaseError(f"column {user.label_column!r} must have two values, not {len(found)}")
    return found[0], found[1]


def _labelled(table: Table, model: Model) -> tuple[Labels, Floats]:
    """Return labels and columns of the rows that have a label."""
    labels = [None if value is None else _label(value) for value in table.column(model.label_column)]
    if any(label is not None and label not in model.classes for label in labels):
        raise UseCaseError(f"column {model.label_column!r} has values other than the model's two classes")
    kept = np.array([label is not None for label in labels])
    if not kept.any():
        raise UseCaseError(f"no row has a value in column {model.label_column!r}")
    positive = np.array([label == model.classes[1] for label in labels], dtype=np.int64)
    return positive[kept], _matrix(table, model.features)[kept]


def _matrix(table: Table, features: tuple[str, ...]) -> Floats:
    """Return columns as shape (rows, features), NaN where a cell is empty."""
    columns = []
    for feature in features:
        values = table.column(feature)
        if any(isinstance(value, str) for value in values):
            raise UseCaseError(f"column {feature!r} of {table.source} holds text; expected numbers")
        columns.append([np.nan if value is None else value for value in values])
    return np.array(columns, dtype=np.float64).T


def _label(value: Value) -> str:
    """Return a value as text; 1.0 and 1 are the same label."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _write_metrics(model: Model, positive: Labels, values: Floats, rows: str, path: Path) -> None:
    found = metrics_of(positive, model.probabilities(values), rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"evaluation_metrics": [asdict(metric) for metric in found]}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _write_inference(model: Model, lines: list[dict[str, object]], platform: PlatformVariables) -> None:
    folder, metadata = platform.output_inference_results, platform.input_data_inference_report_metadata
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    summary: dict[str, object] = {
        "rows": len(lines),
        "files": sorted({str(line["file"]) for line in lines}),
        "predictions": {name: sum(line["prediction"] == name for line in lines) for name in model.classes},
    }
    if metadata.is_file():
        summary["report_metadata"] = read_object(metadata)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
