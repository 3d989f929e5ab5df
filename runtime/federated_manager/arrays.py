"""Models as plain archives of arrays, merged one array at a time.

A model is a folder with one `.npz` (numpy) and, beside it, JSON files; a number `samples` or `num_examples` at the top
of one of them is the model's weight. FedAvg and FedProx merge by the same weighted mean: McMahan et al. 2017
(https://arxiv.org/abs/1602.05629), Li et al. 2020 (https://arxiv.org/abs/1812.06127, whose proximal term is the
client's). Trimmed mean and median, which ignore weights: Yin et al. 2018 (https://arxiv.org/abs/1803.01498).
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import zipfile
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.federated_manager.errors import ModelError, ModelsRefused
from runtime.federated_manager.messages import MODEL_PREFIX

WEIGHT_NAMES = ("samples", "num_examples")
# Larger whole numbers are not exact as floating-point numbers, and no cohort is so large.
LARGEST_WEIGHT = 2**53
Array = npt.NDArray[Any]
Merge = Callable[[Sequence[Array]], Array]
# The name of each array, its shape, and the kind of its values.
Form = Mapping[str, tuple[tuple[int, ...], str]]

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
# Errors of zipfile and numpy for malformed archives of a client.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    SyntaxError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class _Model:
    client: str
    folder: Path
    archive: Path
    weight: float
    form: Form

    @property
    def order(self) -> Hashable:
        """Return the form without the order of the names."""
        return frozenset(self.form.items())


def merge_archives(folders: Sequence[Path], target: Path, how: str, trim: float, form: Form | None = None) -> Form:
    """Merge the models in `folders` (`model_<client>`) into `target`: every array, and the other files of the first
    one.

    `how` is weighted_mean, trimmed_mean (without the share `trim` of the largest and of the smallest values) or
    median. `form` is that of an earlier round's model; without it the models must have the form that most of them
    have. Returns the form. Memory: one array of every model.
    Raises ModelsRefused with the clients whose models can't be merged, and ModelError for a result that isn't finite.
    """
    models = _fitting(_readable(folders), form)
    first = models[0]
    merge = _merge_for(how, trim, [model.weight for model in models])
    target.mkdir(parents=True, exist_ok=True)
    relative = first.archive.relative_to(first.folder)
    _copy_beside(first.folder, target, relative, sum(model.weight for model in models))
    with (
        contextlib.ExitStack() as stack,
        zipfile.ZipFile(target / relative, "w", zipfile.ZIP_STORED) as merged,
        np.errstate(over="ignore", invalid="ignore"),
    ):
        opened = {model.client: stack.enter_context(np.load(model.archive, allow_pickle=False)) for model in models}
        for name in first.form:
            array = _merged(name, _loaded(name, opened), merge)
            with merged.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return first.form


def _readable(folders: Sequence[Path]) -> list[_Model]:
    models: list[_Model] = []
    refused: dict[str, str] = {}
    for folder in folders:
        client = folder.name.removeprefix(MODEL_PREFIX)
        try:
            archive = _archive_in(folder)
            models.append(_Model(client, folder, archive, _weight_of(folder), _form_of(archive)))
        except ModelError as error:
            refused[client] = str(error)
    if refused:
        raise ModelsRefused(refused)
    return models


def _fitting(models: Sequence[_Model], form: Form | None) -> list[_Model]:
    """Return the models; raise ModelsRefused with those that have another form than the others."""
    # With equally many of two forms, the one with more samples is used; the models are in the order of their names.
    counted: dict[Hashable, list[float]] = {}
    for model in models:
        counted.setdefault(model.order, []).append(model.weight)
    chosen = max(counted, key=lambda order: (len(counted[order]), sum(counted[order])))
    wanted = form if form is not None else next(model.form for model in models if model.order == chosen)
    refused = {model.client: _difference(model.form, wanted) for model in models if dict(model.form) != dict(wanted)}
    if refused:
        raise ModelsRefused(refused)
    return list(models)


def _difference(found: Form, wanted: Form) -> str:
    if set(found) != set(wanted):
        names = ", ".join(sorted(set(found) ^ set(wanted))[:5])
        return f"the names of its model's arrays differ from the others' ({names})"
    name = next(name for name in wanted if found[name] != wanted[name])
    (shape, kind), (wanted_shape, wanted_kind) = found[name], wanted[name]
    if shape != wanted_shape:
        return f"array {name!r} of its model has the shape {shape}, the others have {wanted_shape}"
    return f"array {name!r} of its model holds values of kind {kind!r}, the others hold {wanted_kind!r}"


def _loaded(name: str, opened: Mapping[str, Any]) -> list[Array]:
    """Return one array of every model; raise ModelsRefused with the clients whose array can't be merged."""
    arrays: dict[str, Array] = {}
    refused: dict[str, str] = {}
    for client, archive in opened.items():
        try:
            array = np.asarray(archive[name])
        except _UNREADABLE as error:
            refused[client] = f"array {name!r} of its model cannot be read ({type(error).__name__})"
            continue
        if np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
            refused[client] = f"array {name!r} of its model holds values that are not finite"
        arrays[client] = array
    if not refused and not np.issubdtype(next(iter(arrays.values())).dtype, np.number):
        refused = _unlike_most(name, arrays)
    if refused:
        raise ModelsRefused(refused)
    return list(arrays.values())


def _unlike_most(name: str, arrays: Mapping[str, Array]) -> dict[str, str]:
    """Return the clients whose non-numeric array differs from that of most."""
    texts = {client: repr(array.tolist()) for client, array in arrays.items()}
    most = max(texts.values(), key=list(texts.values()).count)
    detail = f"array {name!r} is not numeric and differs from the others'"
    return {client: detail for client, text in texts.items() if text != most}


def _merged(name: str, arrays: Sequence[Array], merge: Merge) -> Array:
    first = arrays[0]
    if all(np.array_equal(array, first) for array in arrays[1:]):
        return first
    merged = merge(arrays)
    if not np.isfinite(merged).all():
        raise ModelError(f"the merged array {name!r} is not finite: the models' values are too large")
    if np.issubdtype(first.dtype, np.integer):
        # Counters, such as those of batch normalisation, stay whole numbers.
        merged = np.rint(merged)
    return merged.astype(np.result_type(*arrays), copy=False)


def _merge_for(how: str, trim: float, weights: Sequence[float]) -> Merge:
    if how == "weighted_mean":
        return lambda arrays: _weighted_mean(arrays, weights)
    if how == "trimmed_mean":
        return lambda arrays: _trimmed_mean(arrays, trim)
    if how == "median":
        return lambda arrays: np.asarray(np.median(np.stack(arrays).astype(_wide(arrays)), axis=0))
    raise ModelError(f"the aggregation {how!r} is not known")


def _weighted_mean(arrays: Sequence[Array], weights: Sequence[float]) -> Array:
    total = sum(weights)
    merged = np.zeros(arrays[0].shape, _wide(arrays))
    for array, weight in zip(arrays, weights, strict=True):
        merged += array * (weight / total)
    return merged


def _trimmed_mean(arrays: Sequence[Array], trim: float) -> Array:
    cut = int(len(arrays) * trim)
    ordered = np.sort(np.stack(arrays).astype(_wide(arrays)), axis=0)
    return np.asarray(np.mean(ordered[cut : len(arrays) - cut], axis=0))


def _wide(arrays: Sequence[Array]) -> npt.DTypeLike:
    """Return the type to compute in: double precision, real or complex."""
    return np.result_type(np.float64, *(array.dtype for array in arrays))


def _archive_in(folder: Path) -> Path:
    found = sorted(folder.rglob("*.npz"))
    if len(found) != 1:
        raise ModelError(f"{folder.name} holds {len(found)} archives of arrays (.npz); expected one")
    return found[0]


def _form_of(archive: Path) -> Form:
    """Return the form of an archive's arrays from their headers alone."""
    form: dict[str, tuple[tuple[int, ...], str]] = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.infolist():
                name = member.filename.removesuffix(".npy")
                with opened.open(member) as file:
                    shape, _fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
                    length = file.tell() + math.prod(shape) * dtype.itemsize
                if name in form or name == member.filename or dtype.hasobject or length != member.file_size:
                    raise ValueError(name)
                form[name] = shape, dtype.kind
    except _UNREADABLE as error:
        raise ModelError(f"{archive.name} is not a plain archive of arrays ({type(error).__name__})") from error
    if not form:
        raise ModelError(f"{archive.name} has no arrays")
    return form


def _weight_of(folder: Path) -> float:
    for file in sorted(folder.rglob("*.json")):
        document = _read(file)
        for name in WEIGHT_NAMES:
            value = document.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                if not 0 < value <= LARGEST_WEIGHT:
                    raise ModelError(f"{folder.name} was trained on {_shown(value)} samples")
                return float(value)
    return 1.0


def _shown(number: float) -> str:
    return "too many" if number > LARGEST_WEIGHT else f"{number:g}"


def _copy_beside(source: Path, target: Path, archive: Path, samples: float) -> None:
    """Copy the files beside the archive, with the sum of the samples in place of the first model's."""
    for file in sorted(source.rglob("*")):
        relative = file.relative_to(source)
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        if not file.is_file() or relative == archive:
            continue
        document = _read(file) if file.suffix == ".json" else {}
        counted = [name for name in WEIGHT_NAMES if isinstance(document.get(name), (int, float))]
        if counted:
            changed = document | {name: int(samples) if samples == int(samples) else samples for name in counted}
            (target / relative).write_text(json.dumps(changed, indent=2) + "\n", encoding="utf-8")
        else:
            shutil.copyfile(file, target / relative)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
