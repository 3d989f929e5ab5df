from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--chaos-runs", type=int, help="How many runs live through the faults.")
    group.addoption("--chaos-seed", type=int, help="The seed of the faults; each time another one unless given.")
