from __future__ import annotations

from pathlib import Path

import pytest

from engines.local.options import Options


def test_the_disk_is_bounded_by_default(tmp_path: Path) -> None:
    options = Options({"root": tmp_path})

    assert (options.disk_bytes, options.disk_reserve_bytes, options.log_bytes) == (20 << 30, None, 100 << 20)
    assert options.hostpath_writable == []


def test_quantities_are_bytes_or_as_kubernetes_writes_them(tmp_path: Path) -> None:
    options = Options({"root": tmp_path, "disk_bytes": "2Gi", "disk_reserve_bytes": "0", "log_bytes": 1 << 20})

    assert (options.disk_bytes, options.disk_reserve_bytes, options.log_bytes) == (2 << 30, 0, 1 << 20)


@pytest.mark.parametrize(
    ("option", "value"), [("disk_bytes", "much"), ("disk_bytes", 1), ("disk_reserve_bytes", "-1"), ("log_bytes", "1Ki")]
)
def test_an_option_that_is_wrong_is_named(tmp_path: Path, option: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"the engine's option {option}: "):
        Options({"root": tmp_path, option: value})
