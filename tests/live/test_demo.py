"""The demo that is interrupted: it says what it left, and the next start of the service goes on with it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from usage_scripts.demo_day import Api
from usage_scripts.demo_view import view_of
from usage_scripts.local_service import PROJECT, local_service

PATIENCE_SECONDS = 120


@pytest.mark.live
def test_an_interrupted_demo_says_what_it_left_and_the_next_start_goes_on(tmp_path: Path) -> None:
    data_dir = tmp_path / "données de démo"
    demo = subprocess.Popen(
        [sys.executable, "-m", "usage_scripts.demo", "--data-dir", str(data_dir)],
        cwd=PROJECT, env={**os.environ, "COLUMNS": "80"}, stdout=subprocess.PIPE, text=True,
        # Whoever runs the tests in the background has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    said = []
    with demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            said.append(line.rstrip("\n"))
            # What an interrupted write has begun is written once more.
            if line.endswith("train(0): running\n") and sum(each.endswith("train(0): running") for each in said) == 1:
                demo.send_signal(signal.SIGINT)
    assert demo.returncode == 130
    assert re.fullmatch(r" +\d+\.\d s  Training from scratch at data-partner-1: pending", said[1])
    assert said[-3:] == [
        "Interrupted. Executions in progress: 1.",
        f"The service has been stopped. Its data is in {data_dir}.",
        f"Executions in progress continue with the next start: make run DATA_DIR='{data_dir}', or run the demo again.",
    ]

    with local_service(data_dir) as service:
        api = Api(service.url, service.token)
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while (status := api.call("GET", "executions/1/")["state"]["status"]) in ("pending", "running"):
            assert time.monotonic() < give_up_at, "the execution did not end"
            time.sleep(0.2)
    assert status == "succeeded"


def test_a_pipe_gets_whole_lines_and_each_change_once(tmp_path: Path) -> None:
    title = "Training together at " + " and ".join(f"data-partner-{number}" for number in range(20))
    with (tmp_path / "output").open("w") as output, view_of(Console(file=output, width=80)) as view:
        for state in ("pending", "pending", "running [1 of 2]", "running [1 of 2]"):
            view.show("execution 1", title, state, done=False)
    lines = (tmp_path / "output").read_text().splitlines()
    assert [line.split("s  ", 1)[1] for line in lines] == [f"{title}: pending", f"{title}: running [1 of 2]"]
