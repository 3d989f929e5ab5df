"""Django's development server; it says that it runs no Workflows."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.management.commands.runserver import Command as StaticFilesServer

from orchestrator_api.environment.ports import complaint_of
from orchestrator_api.environment.telling import WRONG_SETTINGS
from runs.identity import is_any_alive


class Command(StaticFilesServer):
    help = f"{StaticFilesServer.help} It runs no Workflows: `run_controller` does, beside it."

    addr: str
    port: str

    def run(self, **options: Any) -> None:
        """Serve; end with exit code 2 where another program has the port."""
        is_first = "RUN_MAIN" not in os.environ
        if is_first and (complaint := complaint_of((self.addr, int(self.port)))):
            self.stderr.write(complaint)
            sys.exit(WRONG_SETTINGS)
        super().run(**options)

    def on_bind(self, server_port: int) -> None:
        """Report the server's address, and what is missing."""
        super().on_bind(server_port)
        for line in _what_is_missing(server_port):
            self.stdout.write(self.style.WARNING(line))
        # Also where the output goes into a file.
        self.stdout.flush()


def _what_is_missing(port: int) -> list[str]:
    lines = []
    if not is_any_alive():
        command = shlex.join([sys.executable, sys.argv[0], "run_controller"])
        lines.append(
            "No controller is running: executions are accepted, but none starts. "
            f"In a second terminal, with the same environment: {'DEBUG=true ' if settings.DEBUG else ''}{command}"
        )
    hostname = settings.ORCHESTRATOR_API_HOSTNAME
    if hostname.rpartition(":")[2] != str(port):
        lines.append(
            f"Workflows call the API at {hostname}, which is not this server: "
            f"set ORCHESTRATOR_API_HOSTNAME=127.0.0.1:{port} for both."
        )
    if settings.VALIDATE_WITH_MAAS and not settings.MAAS_API_TOKEN and hostname == settings.MAAS_API_HOSTNAME:
        lines.append(
            "The registry of this service requires a token: set MAAS_API_TOKEN to one of `manage.py create_token`, "
            "or VALIDATE_WITH_MAAS=false."
        )
    return lines
