from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.local import LocalEngine


@pytest.fixture(scope="session")
def partner_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data partner's files."""
    directory = tmp_path_factory.mktemp("partner")
    (directory / "patients.csv").write_text("1,2\n")
    return directory


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory, partner_directory: Path) -> Iterator[LocalEngine]:
    """One engine for all tests of what Workflows do; each uses a name of its own."""
    engine = LocalEngine(
        "local",
        {
            "root": tmp_path_factory.mktemp("engine"),
            "nodes": [
                {"nodeType": "central"},
                {"dataPartner": "data-partner-1"},
                {"dataPartner": "data-partner-2"},
            ],
            "hostpath_allow": [str(partner_directory)],
            "grace_seconds": 2,
        },
    )
    yield engine
    for status in list(engine.list()):
        engine.delete(status.name)
