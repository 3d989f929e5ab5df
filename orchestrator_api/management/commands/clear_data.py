"""Delete all data of this installation: rows and files together."""

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
        "Delete all rows and files of this installation, with its users, tokens and Workflows. "
        "Stop the service first. The next start of the service begins from nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        parser.add_argument(
            "--tables",
            action="store_true",
            help="delete the tables as well: the migrations of all apps are undone",
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
        self.stdout.write("All rows and files are deleted. The next start of the service prepares it again.")

    def _ask(self) -> None:
        """Say what is deleted, and ask. Raises CommandError unless the answer is yes."""
        for what, where in (
            ("rows", connection.settings_dict["NAME"]),
            ("files", getattr(default_storage, "location", settings.MEDIA_ROOT)),
            ("Workflows", ", ".join(settings.ENGINES)),
        ):
            self.stdout.write(f"All {what} of {where} will be deleted.")
        try:
            answer = input("Type 'yes' to delete them: ")
        except EOFError:
            answer = ""
        if answer.strip() != "yes":
            raise CommandError("Nothing was deleted.")
