"""Delete all that this installation keeps: rows and files together."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from orchestrator_api.clearing import NotCleared, ServiceRuns, data_clear, service_kept_away


class Command(BaseCommand):
    help = (
        "Delete all rows and files of this installation, users and tokens included, and its Workflows. "
        "Nothing of the service may run. The next start of the service begins like its first."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="ask nothing")
        parser.add_argument(
            "--tables",
            action="store_true",
            help="take the tables away as well: the migrations of all apps, back to zero",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with service_kept_away():
                if not options["yes"]:
                    self._ask()
                data_clear(with_tables=options["tables"])
        except ServiceRuns as error:
            raise CommandError(f"{error} Stop the service first. Nothing was deleted.") from error
        except NotCleared as error:
            raise CommandError(f"{error} No row and no file was deleted.") from error
        except OSError as error:
            raise CommandError(f"A file could not be deleted: {error}. Run the command again.") from error
        self.stdout.write("All rows and files are deleted. The next start of the service makes it ready again.")

    def _ask(self) -> None:
        """Say what goes, and ask. Raises CommandError unless the answer is yes."""
        for what, where in (
            ("rows", connection.settings_dict["NAME"]),
            ("files", getattr(default_storage, "location", settings.MEDIA_ROOT)),
            ("Workflows", ", ".join(settings.ENGINES)),
        ):
            self.stdout.write(f"All {what} of {where} will be deleted.")
        try:
            answer = input("Write 'yes' to delete them: ")
        except EOFError:
            answer = ""
        if answer.strip() != "yes":
            raise CommandError("Nothing was deleted.")
