"""Answers hold what DRF's own renderer would write."""

import json
import uuid
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from django.utils.translation import gettext_lazy
from rest_framework.renderers import JSONRenderer

from executions.models import ExecutionState
from orchestrator_api.rendering import FastJSONRenderer


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 21, 9, 0, 0, 120, UTC),
        datetime(2026, 11, 21, 9, 0, 0, 0, UTC),
        datetime(2026, 11, 21, 9, 0, 0, 0, timezone(timedelta(hours=1))),
        date(2026, 11, 21),
        timedelta(seconds=90),
        Decimal("1.10"),
        uuid.UUID(int=7),
        ExecutionState.SUCCEEDED,
        gettext_lazy("lazy"),
        OrderedDict(b=1, a=(2, 3)),
        {1: "a key that is a number"},
        "Jürgen \u2028 \U0001f600",
        [0.1, 1e300, -0.0, 2**53 + 1],
    ],
)
def test_a_value_is_written_as_ever(value):
    assert json.loads(FastJSONRenderer().render({"v": value})) == json.loads(JSONRenderer().render({"v": value}))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**400])
def test_numbers_beyond_64_bits_are_kept(value):
    assert json.loads(FastJSONRenderer().render({"v": value})) == {"v": value}


def test_no_data_is_no_content():
    assert FastJSONRenderer().render(None) == b""
