from __future__ import annotations

import pytest

from engines.local.quantities import bytes_of


@pytest.mark.parametrize(
    ("text", "count"),
    [("64Mi", 64 << 20), ("1.5Gi", 3 << 29), ("1e3", 1000), ("2k", 2000), (128, 128), (".5Ki", 512), ("1Ei", 1 << 60)],
)
def test_quantities(text: object, count: int) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize(
    "text", ["", "much", "1Q", "-1", "inf", "infPi", "nan", "1e999", "9Ei", "0x10", "1_000", "1 2", "²"]
)
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        bytes_of(text)
