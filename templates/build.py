"""Write the golden files of the shipped Schemas: `python -m templates.build`."""

from __future__ import annotations

import json
from pathlib import Path

from templates import federated, individual, joint
from templates.definitions import Definition
from templates.shipped import MANIFESTS

DEFINITIONS: tuple[Definition, ...] = (
    *individual.DEFINITIONS,
    *joint.DEFINITIONS,
    *federated.DEFINITIONS,
)


def golden_files(definition: Definition) -> dict[str, str]:
    """Return the texts of a shipped Schema's golden files by file name."""
    return {
        f"{definition.name}.yaml": str(definition.build().to_yaml()),
        f"{definition.name}.json": json.dumps(definition.document(), indent=2) + "\n",
    }


def write(folder: Path = MANIFESTS) -> None:
    """Rewrite every golden file, and remove those of Schemas that are no longer shipped."""
    folder.mkdir(exist_ok=True)
    texts = {name: text for definition in DEFINITIONS for name, text in golden_files(definition).items()}
    for path in folder.iterdir():
        if path.suffix in (".yaml", ".json") and path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
