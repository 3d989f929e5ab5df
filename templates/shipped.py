"""The shipped Schemas, read from their golden files. Does not need Hera."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True)
class ShippedSchema:
    """One Schema: the `data` of the POST that creates it, and its manifest's text."""

    document: dict[str, Any]
    manifest_yaml: str

    @property
    def name(self) -> str:
        return str(self.document["name"])


def shipped_schemas() -> list[ShippedSchema]:
    """Return every shipped Schema, by name."""
    return [
        ShippedSchema(
            document=json.loads(path.read_text(encoding="utf-8")),
            manifest_yaml=path.with_suffix(".yaml").read_text(encoding="utf-8"),
        )
        for path in sorted(MANIFESTS.glob("*.json"))
    ]
