"""Check whether manifests in files may be uploaded, without storing anything."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from policy.reading import MAX_BYTES
from schemas.posting import judged_manifests, manifest_faults

_SUFFIXES = (".yaml", ".yml", ".json")


class Command(BaseCommand):
    help = "Check manifests against this installation's policy and engine, as an upload does. Nothing is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, help="Manifest files, or folders to search for them.")

    def handle(self, *args: Any, **options: Any) -> None:
        files = list(_files(options["paths"]))
        if not files:
            raise CommandError("No manifests were found: their files end in .yaml, .yml or .json.")
        refused = 0
        for path, answer in zip(files, judged_manifests([_content(path) for path in files]), strict=True):
            self.stdout.write(f"{path}: {'refused' if answer.faults else 'accepted'}")
            for fault in manifest_faults(answer.faults):
                self.stdout.write(f"  {fault.pointer.partition('#')[2] or '/'}: {fault.detail}")
            refused += bool(answer.faults)
        if refused:
            raise CommandError(f"{refused} of {len(files)} manifests are refused.")


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file())
        elif path.is_file():
            yield path
        else:
            raise CommandError(f"{path} is neither a file nor a folder.")


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        # One byte more than is allowed is read, so that a file that is too large is noticed.
        return file.read(MAX_BYTES + 1)
