"""Options are read once, and refused where they cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from engines.argo.options import Options


def test_what_is_not_given_has_a_default() -> None:
    assert Options.read({"namespace": "workflows"}) == Options(
        namespace="workflows", requests_per_second=20.0, burst=40
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"namespaces": "argo"}, "unknown options of the Argo engine: namespaces"),
        ({"namespace": "Not a name"}, "not the name of a namespace"),
        ({"namespace": "argo/../x"}, "not the name of a namespace"),
        ({"instance_id": "orchestrator-preparing"}, "not allowed as an instance id"),
        ({"burst": 0}, "burst"),
        ({"timeout_seconds": -1.0}, "timeout_seconds"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Options.read(given)
