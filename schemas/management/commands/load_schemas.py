"""Store the Schemas that this project ships."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from schemas.models import Schema
from schemas.posting import DOCUMENT_FIELDS, CheckedSchema, check_shipped
from schemas.services import schema_replace, schema_store
from templates.shipped import ShippedSchema, shipped_schemas
from web.errors import Conflict, InvalidInput, NotFound

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Plan:
    shipped: ShippedSchema
    stored: Schema | None
    action: str


class Command(BaseCommand):
    """A Schema that was changed in this installation, or stored under a shipped Schema's name, is kept as it is."""

    help = (
        "Create the shipped Schemas, and store a new version of those that differ from the present release. "
        "Schemas that were changed in this installation are kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="Change nothing; fail if something would change.")
        parser.add_argument(
            "--overwrite",
            action="store_true",
            help="Also store the shipped Schema as a new version if the Schema was changed in this installation.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        plans = [_plan(shipped, overwrite=options["overwrite"]) for shipped in shipped_schemas()]
        due = [plan for plan in plans if plan.action in ("create", "update")]
        if not options["check"]:
            for plan, checked in zip(due, self._checked(due), strict=True):
                _carry_out(plan, checked)
            # However it was stored: it equals the shipped Schema, so the next release may update it.
            same = [plan.shipped.name for plan in plans if not plan.action]
            Schema.objects.filter(name__in=same, is_shipped=False).update(is_shipped=True)
        self._print(plans, done=not options["check"])
        if options["check"] and due:
            raise CommandError(
                f"{len(due)} of {len(plans)} shipped Schemas are missing or differ from the present release."
            )

    def _checked(self, plans: list[_Plan]) -> list[CheckedSchema]:
        """Return the checked Schemas, all or none: the settings of this installation may refuse a Schema."""
        results = check_shipped([(plan.shipped.document, plan.shipped.manifest_yaml) for plan in plans])
        checked: list[CheckedSchema] = []
        for plan, result in zip(plans, results, strict=True):
            if isinstance(result, CheckedSchema):
                checked.append(result)
                continue
            for fault in result:
                self.stderr.write(f"{plan.shipped.name}: {fault.pointer}: {fault.detail}")
        if len(checked) < len(plans):
            raise CommandError(
                "Some shipped Schemas do not pass the checks of this installation; no Schema was changed."
            )
        return checked

    def _print(self, plans: list[_Plan], *, done: bool) -> None:
        words = {
            "create": "created" if done else "missing",
            "update": "updated" if done else "differs",
            "keep": "kept",
            "": "unchanged",
        }
        width = max(len(plan.shipped.name) for plan in plans)
        for plan in plans:
            self.stdout.write(f"{plan.shipped.name:<{width}}  {words[plan.action]}")


def _plan(shipped: ShippedSchema, *, overwrite: bool) -> _Plan:
    stored = Schema.objects.filter(name=shipped.name).first()
    if stored is None:
        return _Plan(shipped, None, "create")
    same = all(getattr(stored, field) == shipped.document[field] for field in DOCUMENT_FIELDS)
    if same and _text(stored) == shipped.manifest_yaml.encode():
        return _Plan(shipped, stored, "")
    return _Plan(shipped, stored, "update" if stored.is_shipped or overwrite else "keep")


def _text(stored: Schema) -> bytes | None:
    """Return the stored manifest's text, or None if it is no longer stored."""
    try:
        with stored.auxiliary_file.open("rb") as file:
            content: bytes = file.read()
            return content
    except (FileNotFoundError, ValueError):
        return None


def _carry_out(plan: _Plan, checked: CheckedSchema) -> None:
    try:
        if plan.stored is None:
            schema_store(checked=checked, is_shipped=True)
        else:
            schema_replace(schema=plan.stored, checked=checked, is_shipped=True)
    except (Conflict, NotFound, InvalidInput):
        # Another process that starts at the same time, or a user, was faster: its version is kept.
        logger.warning(
            "A shipped Schema was changed by another process in the meantime and is kept",
            extra={"schema": plan.shipped.name},
        )
