"""Run the controller of Workflow runs."""

from __future__ import annotations

import logging
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from runs.controller import Controller
from runs.engines import get_engine

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Submit, watch and stop Workflows until interrupted; several may run on one database."

    def handle(self, *args: Any, **options: Any) -> None:
        engines = [get_engine(alias) for alias in settings.ENGINES]
        controller = Controller(engines)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: controller.stop())
        for engine in engines:
            for problem in engine.check():
                logger.warning("Engine %s: %s", engine.alias, problem)
        controller.run()
