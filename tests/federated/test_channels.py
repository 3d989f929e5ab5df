from __future__ import annotations

from datetime import UTC, datetime

from federated.channels import channel_id


def test_the_channel_keeps_its_shape_on_a_whole_second() -> None:
    name = channel_id(3, datetime(2026, 1, 2, 3, 4, 5, 0, UTC))

    assert name == "3_-SEP-_2026-01-02_03-04-05.000000_00-00_-SEP-_"
