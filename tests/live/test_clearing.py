"""Clearing meets a service that runs: nothing of it is touched."""

from __future__ import annotations

import subprocess
import sys

import pytest

from usage_scripts.demo_day import Api
from usage_scripts.local_service import PROJECT, LocalService


@pytest.mark.live
def test_a_running_service_keeps_its_rows_and_files(service: LocalService) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "orchestrator_api.standalone",
         "--data-dir", str(service.data_dir), "--manage", "clear_data", "--yes"],
        cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert (
        f"The service is running on {service.data_dir}. Stop the service first. Nothing was deleted." in result.stderr
    )
    assert Api(service.url, service.token).call("GET", "schemas/")["count"] >= 9
