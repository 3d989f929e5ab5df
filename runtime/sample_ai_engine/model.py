"""The sample model: standardised columns and a logistic regression, learnt by stochastic gradient descent.

Stored as an archive of plain arrays (`model.npz`) and a JSON description (`model.json`); nothing in it is executed
when it is read.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from runtime.sample_ai_engine.errors import UseCaseError
from runtime.sample_ai_engine.variables import UserVariables, read_object

Floats = npt.NDArray[np.float64]
FORMAT = "sample-ai-engine-1"
REGULARISATION = 1e-3
# Larger whole numbers are not exact as floating-point numbers.
LARGEST_COUNT = 2**53
_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ArithmeticError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_ARRAYS = ("mean", "variance", "weights", "bias")


@dataclass(frozen=True, eq=False)
class Model:
    """Parameters of the model.

    `mean` and `variance` are the columns' own, of shape (features,); `weights`, same shape, and `bias`, of shape (),
    apply to standardised columns. `samples` is the number of rows of the last training: the weight in a merge.
    """

    features: tuple[str, ...]
    classes: tuple[str, str]
    label_column: str
    samples: int
    mean: Floats
    variance: Floats
    weights: Floats
    bias: Floats

    @property
    def scale(self) -> Floats:
        """Return the standard deviations; a constant column has 1, so that it stays unchanged."""
        return np.where(self.variance > 0, np.sqrt(self.variance), 1.0)

    def standardise(self, values: Floats) -> Floats:
        """Return standardised columns; an empty cell counts as its column's mean."""
        return np.nan_to_num((values - self.mean) / self.scale, nan=0.0)

    def probabilities(self, values: Floats) -> Floats:
        """Return the probability of the positive class (the last one) for rows of shape (rows, features)."""
        scores: Floats = self.standardise(values) @ self.weights + self.bias
        return 1.0 / (1.0 + np.exp(-np.clip(scores, -500, 500)))

    def raw(self) -> tuple[Floats, Floats]:
        """Return weights and bias for columns that are not standardised."""
        weights = self.weights / self.scale
        return weights, np.asarray(self.bias - weights @ self.mean)


def new_model(features: Sequence[str], classes: tuple[str, str], label_column: str, values: Floats) -> Model:
    """Return an untrained model with the standardisation of these rows."""
    present = ~np.all(np.isnan(values), axis=0)
    mean, variance = np.zeros(len(features)), np.zeros(len(features))
    if present.any():
        scaler = StandardScaler().fit(values[:, present])
        mean[present], variance[present] = scaler.mean_, scaler.var_
    return Model(tuple(features), classes, label_column, 0, mean, variance, np.zeros(len(features)), np.asarray(0.0))


def train(model: Model, values: Floats, positive: npt.NDArray[np.int64], variables: UserVariables) -> Model:
    """Return the model after further training; deterministic given the seed.

    `values` has shape (rows, features), `positive` holds 1 for the positive class, else 0.
    """
    learner = SGDClassifier(
        loss="log_loss",
        alpha=REGULARISATION,
        learning_rate="constant",
        eta0=variables.learning_rate,
        random_state=np.random.RandomState(variables.seed),
    )
    learner.coef_, learner.intercept_ = model.weights.reshape(1, -1).copy(), np.atleast_1d(model.bias).copy()
    rows = model.standardise(values)
    for _epoch in range(variables.epochs):
        learner.partial_fit(rows, positive, classes=[0, 1])
    weights, bias = np.asarray(learner.coef_[0]), np.asarray(learner.intercept_[0])
    if not (np.isfinite(weights).all() and np.isfinite(bias)):
        raise UseCaseError("training diverged: choose a smaller learning_rate")
    return replace(model, weights=weights, bias=bias, samples=len(values))


def misfits(models: Mapping[str, Model]) -> dict[str, str]:
    """Return which clients' models cannot be merged with the others, with the reason for each.

    The reference are the columns and classes that most models have.
    """
    forms = {client: (model.features, model.classes) for client, model in models.items()}
    most = max(forms.values(), key=list(forms.values()).count, default=None)
    found: dict[str, str] = {}
    for client, model in models.items():
        if not 1 <= model.samples <= LARGEST_COUNT:
            found[client] = f"was trained on {'no row' if model.samples < 1 else 'too many rows'}"
        elif not all(np.isfinite(array).all() for array in (model.mean, model.variance, model.weights, model.bias)):
            found[client] = "holds values that are not finite"
        elif forms[client] != most:
            found[client] = "has other columns or classes than the others"
    return found


def merge(models: Sequence[Model]) -> Model:
    """Return the mean of models, weighted by their numbers of samples.

    Each model has its own standardisation, so weights are averaged as they apply to the columns
    themselves, then expressed for the pooled mean and variance.
    """
    first = models[0]
    for model in models[1:]:
        if model.features != first.features or model.classes != first.classes:
            raise UseCaseError("the models to merge have different columns or classes")
    samples = np.array([model.samples for model in models], dtype=np.float64)
    shares = samples / samples.sum()
    mean = np.asarray(sum(share * model.mean for share, model in zip(shares, models, strict=True)))
    variance = np.asarray(
        sum(share * (model.variance + (model.mean - mean) ** 2) for share, model in zip(shares, models, strict=True))
    )
    raw = [model.raw() for model in models]
    raw_weights = np.asarray(sum(share * weights for share, (weights, _bias) in zip(shares, raw, strict=True)))
    raw_bias = sum(share * bias for share, (_weights, bias) in zip(shares, raw, strict=True))
    merged = replace(first, samples=int(samples.sum()), mean=mean, variance=variance)
    return replace(merged, weights=raw_weights * merged.scale, bias=np.asarray(raw_bias + raw_weights @ mean))


def save(model: Model, folder: Path) -> None:
    """Write a model into a folder, creating it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.npz").open("wb") as file:
        np.savez(file, mean=model.mean, variance=model.variance, weights=model.weights, bias=model.bias)
    description = {
        "format": FORMAT,
        "features": list(model.features),
        "classes": list(model.classes),
        "label_column": model.label_column,
        "samples": model.samples,
    }
    (folder / "model.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def load(folder: Path) -> Model:
    """Read a model from a folder, or from its only subfolder; raise UseCaseError when it cannot be used."""
    source = _model_folder(folder)
    description = read_object(source / "model.json")
    try:
        with np.load(source / "model.npz", allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name], dtype=np.float64) for name in _ARRAYS}
        model = Model(
            features=tuple(map(str, description["features"])),
            classes=_pair(description["classes"]),
            label_column=str(description["label_column"]),
            samples=int(description["samples"]),
            **arrays,
        )
    except _UNREADABLE as error:
        raise UseCaseError(f"the model in {source} is damaged or of another kind ({type(error).__name__})") from error
    shapes = {model.mean.shape, model.variance.shape, model.weights.shape}
    if description.get("format") != FORMAT or shapes != {(len(model.features),)} or model.bias.shape != ():
        raise UseCaseError(f"the model in {source} is of another kind")
    return model


def _model_folder(folder: Path) -> Path:
    if (folder / "model.json").is_file():
        return folder
    inner = [entry for entry in folder.iterdir() if entry.is_dir()] if folder.is_dir() else []
    if len(inner) == 1 and (inner[0] / "model.json").is_file():
        return inner[0]
    raise UseCaseError(f"there is no model in {folder}")


def _pair(classes: Any) -> tuple[str, str]:
    negative, positive = map(str, classes)
    return negative, positive
