import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.federated_manager.arrays import merge_archives
from runtime.federated_manager.errors import ModelError

RANDOM = np.random.default_rng(7)
SHAPES = {"w": (5, 3), "b": (3,), "bias": ()}


def _model(root: Path, name: str, arrays: dict[str, Any], samples: int | None = None, key: str = "samples") -> Path:
    folder = root / f"model_{name}" / "inner"
    folder.mkdir(parents=True)
    np.savez(folder / "model.npz", **arrays)
    if samples is not None:
        (folder / "model.json").write_text(json.dumps({"format": 1, key: samples}))
    (folder / "notes.txt").write_text(name)
    return folder.parent


def _random_models(root: Path, samples: list[int]) -> tuple[list[Path], list[dict[str, Any]]]:
    arrays = [{name: RANDOM.normal(size=shape) for name, shape in SHAPES.items()} for _ in samples]
    folders = [_model(root, str(number), arrays[number], count) for number, count in enumerate(samples)]
    return folders, arrays


def _merged(target: Path) -> dict[str, Any]:
    with np.load(target / "inner" / "model.npz", allow_pickle=False) as archive:
        return dict(archive)


def test_the_weighted_mean_is_the_sum_of_shares(tmp_path: Path) -> None:
    samples = [10, 30, 60]
    folders, arrays = _random_models(tmp_path, samples)

    merge_archives(folders, tmp_path / "merged", "weighted_mean", 0)

    merged = _merged(tmp_path / "merged")
    for name, shape in SHAPES.items():
        expected = 0.1 * arrays[0][name] + 0.3 * arrays[1][name] + 0.6 * arrays[2][name]
        assert merged[name].shape == shape
        assert merged[name] == pytest.approx(expected, rel=1e-12)
    description = json.loads((tmp_path / "merged" / "inner" / "model.json").read_text())
    assert description == {"format": 1, "samples": 100}
    assert (tmp_path / "merged" / "inner" / "notes.txt").read_text() == "0"


@pytest.mark.parametrize(("trim", "cut"), [(0.0, 0), (0.2, 1), (0.4, 2)])
def test_the_trimmed_mean_leaves_out_both_ends(tmp_path: Path, trim: float, cut: int) -> None:
    folders, arrays = _random_models(tmp_path, [1, 100, 1, 1, 1])

    merge_archives(folders, tmp_path / "merged", "trimmed_mean", trim)

    merged = _merged(tmp_path / "merged")
    for name, shape in SHAPES.items():
        for place in np.ndindex(shape):
            values = sorted(float(each[name][place]) for each in arrays)[cut : 5 - cut]
            assert merged[name][place] == pytest.approx(sum(values) / len(values))


def test_the_median_ignores_what_one_client_makes_up(tmp_path: Path) -> None:
    folders, arrays = _random_models(tmp_path, [1, 1])
    liar = _model(tmp_path, "liar", {name: np.full(shape, 1e9) for name, shape in SHAPES.items()}, 1_000_000)

    merge_archives([*folders, liar], tmp_path / "merged", "median", 0)

    merged = _merged(tmp_path / "merged")
    for name in SHAPES:
        assert merged[name] == pytest.approx(np.maximum(arrays[0][name], arrays[1][name]))


def test_types_are_kept_and_counters_stay_whole(tmp_path: Path) -> None:
    first = {"w": np.array([1.5], np.float32), "steps": np.array(3), "names": np.array(["a", "b"])}
    second = {"w": np.array([2.5], np.float32), "steps": np.array(6), "names": np.array(["a", "b"])}
    folders = [_model(tmp_path, "a", first, 1), _model(tmp_path, "b", second, 1)]

    merge_archives(folders, tmp_path / "merged", "weighted_mean", 0)

    merged = _merged(tmp_path / "merged")
    assert {name: array.dtype for name, array in merged.items()} == {name: array.dtype for name, array in first.items()}
    assert (merged["w"][0], merged["steps"], list(merged["names"])) == (2.0, 4, ["a", "b"])


def test_models_without_a_number_of_samples_weigh_the_same(tmp_path: Path) -> None:
    folders = [_model(tmp_path, name, {"w": np.array(value)}) for name, value in (("a", 1.0), ("b", 4.0))]

    merge_archives(folders, tmp_path / "merged", "weighted_mean", 0)

    assert _merged(tmp_path / "merged")["w"] == 2.5


def test_the_other_name_of_the_weight_is_known(tmp_path: Path) -> None:
    folders = [
        _model(tmp_path, "a", {"w": np.array(0.0)}, 1, "num_examples"),
        _model(tmp_path, "b", {"w": np.array(1.0)}, 3, "num_examples"),
    ]

    merge_archives(folders, tmp_path / "merged", "weighted_mean", 0)

    assert _merged(tmp_path / "merged")["w"] == 0.75


@pytest.mark.parametrize(
    ("other", "samples", "message"),
    [
        ({"v": np.zeros(2)}, 1, "arrays of different names"),
        ({"w": np.zeros(3)}, 1, "'w' has different shapes"),
        ({"w": np.array(["a", "b"])}, 1, "'w' isn't made of numbers"),
        ({"w": np.zeros(2)}, 0, "model_b was trained on 0 samples"),
        ({"w": np.array([object(), object()])}, 1, "aren't plain archives"),
    ],
)
def test_models_that_do_not_fit_are_refused(tmp_path: Path, other: Any, samples: int, message: str) -> None:
    folders = [_model(tmp_path, "a", {"w": np.ones(2)}, 1), _model(tmp_path, "b", other, samples)]

    with pytest.raises(ModelError, match=message):
        merge_archives(folders, tmp_path / "merged", "weighted_mean", 0)


def test_one_archive_per_model_is_needed(tmp_path: Path) -> None:
    (tmp_path / "model_a").mkdir()

    with pytest.raises(ModelError, match="model_a holds 0 archives"):
        merge_archives([tmp_path / "model_a"], tmp_path / "merged", "median", 0)
