"""An attack that is not carried out proves nothing: one that is skipped fails."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    report = yield
    if report.skipped:
        report.outcome, report.longrepr = "failed", f"an attack may not be skipped: {report.longrepr}"
    return report
