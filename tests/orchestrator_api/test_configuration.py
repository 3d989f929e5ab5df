"""The configuration's documentation is complete, and names nothing that no code reads."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
READS = re.compile(r"""(?:env\.\w+\(|os\.environ\.get\(|\w\(\s*env,)\s*"([A-Z_]+)\"""")


def variables_read() -> set[str]:
    sources = [PROJECT / "orchestrator_api" / name for name in ("settings.py", "gunicorn_conf.py")]
    return {name for source in sources for name in READS.findall(source.read_text())}


def test_every_variable_is_documented_and_none_besides() -> None:
    text = (PROJECT / "docs" / "reference" / "configuration.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert documented == variables_read()
