"""A controller as a process of its own, with the owner and the engine that die where they are told to."""

import django
from django.core.management import call_command

django.setup()

from runs.owners import register  # noqa: E402
from tests.chaos.mortal import OWNER_KIND, MortalOwner  # noqa: E402

register(OWNER_KIND, MortalOwner())
call_command("run_controller", skip_checks=True)
