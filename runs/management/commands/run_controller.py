"""Run the controller of Workflow runs."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from runs.controller import Controller
from runs.engines import get_engine

logger = logging.getLogger(__name__)

# A tenth of Python's default, and still much longer than a switch of threads takes.
SWITCH_SECONDS = 0.0005


class Command(BaseCommand):
    help = "Submit, watch and stop Workflows until interrupted. Several controllers may run on one database."

    def handle(self, *args: Any, **options: Any) -> None:
        # A thread in a transaction needs the interpreter for each statement, while other threads wait for its end.
        sys.setswitchinterval(SWITCH_SECONDS)
        engines = [get_engine(alias) for alias in settings.ENGINES]
        controller = Controller(engines)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: controller.stop())
        for engine in engines:
            for problem in engine.check():
                logger.warning("Engine %s: %s", engine.alias, problem)
        controller.run()
