"""One whole service, started once for every test here that only needs some live server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from usage_scripts.local_service import LocalService, local_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    with local_service(tmp_path_factory.mktemp("service")) as running:
        yield running
