#!/usr/bin/env python
"""Run a management command of the orchestrator."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import DatabaseError

from orchestrator_api.environment.reading import WrongSettings
from orchestrator_api.environment.telling import SETTINGS, checked_environment, end_with
from orchestrator_api.unreachable import complaint_about_database


def main() -> None:
    """Look at the settings, then run the command; wrong settings end the process with a line each and exit code 2.

    So does a database that cannot be worked with.
    """
    if os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS) == SETTINGS:
        checked_environment()
    try:
        # Django would go on without them, and say that it knows no such command.
        settings.DEBUG  # noqa: B018 - a property that loads
    except WrongSettings as error:
        end_with(error.faults)
    try:
        execute_from_command_line(sys.argv)
    except DatabaseError:
        complaint = complaint_about_database()
        if not complaint:
            raise
        end_with([complaint])


if __name__ == "__main__":
    main()
