"""A controller as a process of its own, with the owner that tests use."""

import django
from django.core.management import call_command

django.setup()

from runs.engines import get_engine  # noqa: E402
from runs.owners import register  # noqa: E402
from tests.runs.doubles import NotingOwner  # noqa: E402

register("test", NotingOwner(get_engine("double")))
print("starting", flush=True)
call_command("run_controller", skip_checks=True)
print("ended", flush=True)
