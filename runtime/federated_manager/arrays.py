"""Models as plain archives of arrays, merged one array at a time.

A model is a folder with one `.npz` (numpy) and, beside it, JSON files; a number `samples` or `num_examples` at the top
of one of them is the model's weight. FedAvg and FedProx merge by the same weighted mean: McMahan et al. 2017
(https://arxiv.org/abs/1602.05629), Li et al. 2020 (https://arxiv.org/abs/1812.06127, whose proximal term is the
client's). Trimmed mean and median, which ignore weights: Yin et al. 2018 (https://arxiv.org/abs/1803.01498).
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.federated_manager.errors import ModelError

WEIGHT_NAMES = ("samples", "num_examples")
Array = npt.NDArray[Any]
Merge = Callable[[Sequence[Array]], Array]


def merge_archives(folders: Sequence[Path], target: Path, how: str, trim: float) -> None:
    """Merge the models in `folders` into `target`: every array, and what else the first folder holds.

    `how` is weighted_mean, trimmed_mean (without the share `trim` of the largest and of the smallest values) or
    median. Memory: one array of every model. Raises ModelError when the models don't fit together.
    """
    archives = [_archive_in(folder) for folder in folders]
    weights = [_weight_of(folder) for folder in folders]
    merge = _merge_for(how, trim, weights)
    target.mkdir(parents=True, exist_ok=True)
    relative = archives[0].relative_to(folders[0])
    _copy_beside(folders[0], target, relative, sum(weights))
    try:
        opened = [np.load(archive, allow_pickle=False) for archive in archives]
        try:
            names = list(opened[0].files)
            if any(set(each.files) != set(names) for each in opened):
                raise ModelError("the models to merge have arrays of different names")
            with zipfile.ZipFile(target / relative, "w", zipfile.ZIP_STORED) as merged:
                for name in names:
                    with merged.open(f"{name}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, _merged(name, opened, merge), allow_pickle=False)
        finally:
            for each in opened:
                each.close()
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ModelError(f"the models to merge aren't plain archives of arrays: {error}") from error


def _merged(name: str, opened: Sequence[Any], merge: Merge) -> Array:
    arrays = [np.asarray(each[name]) for each in opened]
    first = arrays[0]
    if any(array.shape != first.shape for array in arrays):
        raise ModelError(f"array {name!r} has different shapes in the models to merge")
    if all(np.array_equal(array, first) for array in arrays[1:]):
        return first
    if not all(np.issubdtype(array.dtype, np.number) for array in arrays):
        raise ModelError(f"array {name!r} isn't made of numbers and differs between the models to merge")
    merged = merge(arrays)
    if np.issubdtype(first.dtype, np.integer):
        # Counters, such as those of batch normalisation, stay whole numbers.
        merged = np.rint(merged)
    return merged.astype(first.dtype, copy=False)


def _merge_for(how: str, trim: float, weights: Sequence[float]) -> Merge:
    if how == "weighted_mean":
        return lambda arrays: _weighted_mean(arrays, weights)
    if how == "trimmed_mean":
        return lambda arrays: _trimmed_mean(arrays, trim)
    if how == "median":
        return lambda arrays: np.asarray(np.median(np.stack(arrays).astype(_wide(arrays)), axis=0))
    raise ModelError(f"there is no way to merge named {how!r}")


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
        raise ModelError(f"{folder.name} holds {len(found)} archives of arrays (.npz), one is needed")
    return found[0]


def _weight_of(folder: Path) -> float:
    for file in sorted(folder.rglob("*.json")):
        document = _read(file)
        for name in WEIGHT_NAMES:
            value = document.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                if not 0 < value < float("inf"):
                    raise ModelError(f"{folder.name} was trained on {value:g} samples")
                return float(value)
    return 1.0


def _copy_beside(source: Path, target: Path, archive: Path, samples: float) -> None:
    """Copy what lies beside the archive, with the sum of the samples in place of the first model's."""
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
        document = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
