"""What Argo's executor logs is told from what a program writes."""

from __future__ import annotations

import pytest

from engines.argo.executor_lines import is_of_executor

EXITED = 'time=2026-11-21T12:00:00.123Z level=INFO msg="sub-process exited" argo=true error=<nil>'


@pytest.mark.parametrize(
    "text",
    [
        EXITED,
        'time=2026-11-21T12:00:00.123Z level=INFO msg="sub-process exited" error="exit status 3" argo=true',
        'time=2026-11-21T12:00:00.123Z level=INFO msg="not saving outputs - not main container" argo=true',
        'time=2026-11-21T12:00:00.123Z level=ERROR msg="cannot save \\"/tmp/x=1\\"" argo=true',
        'time="2023-11-21T12:00:00.123Z" level=info msg="sub-process exited" argo=true error="<nil>"',
        '{"time":"2026-11-21T12:00:00.123Z","level":"INFO","msg":"sub-process exited","argo":true,"error":null}',
    ],
)
def test_a_line_of_the_executor_is_known(text: str) -> None:
    assert is_of_executor(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "argo=true",
        "level=INFO msg=hello argo=true",
        f"I have read: {EXITED}",
        f"{EXITED} and then nothing",
        'time=2026-11-21T12:00:00.123Z level=INFO msg="all with argo=true is left out"',
        "time=2026-11-21T12:00:00.123Z level=INFO msg=hello argo=truely",
        'time=2026-11-21T12:00:00.123Z level=INFO msg="never ends argo=true',
        '{"time":"2026-11-21T12:00:00.123Z","level":"INFO","msg":"hello","argo":"yes","and":{"argo":true}}',
        '{"time":"2026-11-21T12:00:00.123Z","level":"INFO","msg":"hello","argo":true',
        '{"time":"now","argo":true}',
    ],
)
def test_a_line_of_a_program_stays(text: str) -> None:
    assert not is_of_executor(text)
