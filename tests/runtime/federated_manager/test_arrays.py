import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.federated_manager.arrays import merge_archives
from runtime.federated_manager.errors import ModelError, ModelsRefused

RANDOM = np.random.default_rng(7)
SHAPES = {"w": (5, 3), "b": (3,), "bias": ()}


def _model(root: Path, name: str, arrays: dict[str, Any], samples: Any = None, key: str = "samples") -> Path:
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
        ({"v": np.zeros(2)}, 1, r"names of its model's arrays differ from the others' \(v, w\)"),
        ({"w": np.zeros(3)}, 1, r"'w' of its model has the shape \(3,\), the others have \(2,\)"),
        ({"w": np.zeros(2, int)}, 1, "'w' of its model holds values of kind 'i', the others hold 'f'"),
        ({"w": np.array(["a", "b"])}, 1, "'w' of its model holds values of kind 'U'"),
        ({"w": np.zeros(2)}, 0, "model_c was trained on 0 samples"),
        ({"w": np.zeros(2)}, -5, "model_c was trained on -5 samples"),
        ({"w": np.zeros(2)}, float("nan"), "model_c was trained on nan samples"),
        ({"w": np.zeros(2)}, 10**400, "model_c was trained on too many samples"),
        ({"w": np.array([object(), object()])}, 1, "is not a plain archive"),
        ({"w": np.array([1.0, np.nan])}, 1, "'w' of its model holds values that are not finite"),
        ({"w": np.array([1.0, -np.inf])}, 1, "'w' of its model holds values that are not finite"),
        ({}, 1, "has no arrays"),
    ],
)
@pytest.mark.parametrize("how", ["weighted_mean", "trimmed_mean", "median"])
def test_a_model_that_does_not_fit_is_refused_with_its_client(
    tmp_path: Path, other: Any, samples: Any, message: str, how: str
) -> None:
    folders = [_model(tmp_path, name, {"w": np.ones(2)}, 1) for name in "ab"]
    folders.append(_model(tmp_path, "c", other, samples))

    with pytest.raises(ModelsRefused, match=message) as caught:
        merge_archives(folders, tmp_path / "merged", how, 0)

    assert set(caught.value.clients) == {"c"}


def test_texts_that_most_do_not_have_are_refused(tmp_path: Path) -> None:
    folders = [
        _model(tmp_path, name, {"names": np.array([text])}) for name, text in (("a", "x"), ("b", "y"), ("c", "y"))
    ]

    with pytest.raises(ModelsRefused, match="is not numeric") as caught:
        merge_archives(folders, tmp_path / "merged", "median", 0)

    assert set(caught.value.clients) == {"a"}


def test_the_form_of_an_earlier_round_holds(tmp_path: Path) -> None:
    form = merge_archives([_model(tmp_path / "0", "a", {"w": np.ones(2)})], tmp_path / "merged", "median", 0)
    folders = [_model(tmp_path / "1", name, {"w": np.ones(3)}) for name in "ab"]
    folders.append(_model(tmp_path / "1", "c", {"w": np.ones(2)}))

    with pytest.raises(ModelsRefused) as caught:
        merge_archives(folders, tmp_path / "again", "median", 0, form)

    assert set(caught.value.clients) == {"a", "b"}


def test_one_archive_per_model_is_needed(tmp_path: Path) -> None:
    (tmp_path / "model_a").mkdir()

    with pytest.raises(ModelsRefused, match="model_a holds 0 archives"):
        merge_archives([tmp_path / "model_a"], tmp_path / "merged", "median", 0)


def _claims_too_much(archive: Path) -> None:
    """Write a head that tells of an array of a terabyte over no data."""
    with zipfile.ZipFile(archive, "w") as opened, opened.open("w.npy", "w") as member:
        head = {"descr": "<f8", "fortran_order": False, "shape": (2**37,)}
        np.lib.format.write_array_header_1_0(member, head)


def _damage(archive: Path) -> None:
    np.savez_compressed(archive, w=np.zeros(1000))
    content = bytearray(archive.read_bytes())
    content[len(content) // 3 : len(content) // 2] = b"\xff" * (len(content) // 2 - len(content) // 3)
    archive.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [_claims_too_much, _damage, lambda archive: archive.write_bytes(b""), lambda archive: archive.write_bytes(b"PK")],
    ids=["too much", "damaged", "empty", "cut off"],
)
def test_an_archive_that_cannot_be_read_is_its_clients_fault(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    folders = [_model(tmp_path, name, {"w": np.ones(1000)}) for name in "abc"]
    spoil(next(folders[1].rglob("*.npz")))

    with pytest.raises(ModelsRefused) as caught:
        merge_archives(folders, tmp_path / "merged", "weighted_mean", 0)

    assert set(caught.value.clients) == {"b"}


def test_a_merged_model_that_is_not_finite_is_a_fault(tmp_path: Path) -> None:
    folders = [_model(tmp_path, name, {"w": np.array([value])}) for name, value in (("a", 1.7e308), ("b", 1.6e308))]

    with pytest.raises(ModelError, match="is not finite"):
        merge_archives(folders, tmp_path / "merged", "trimmed_mean", 0)
