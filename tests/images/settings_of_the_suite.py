"""The service's settings, with the engine that hands Workflows to the suite."""

from orchestrator_api.settings import *  # noqa: F403

ENGINE = "outside"
ENGINES = {"outside": {"class": "outside.OutsideEngine", "options": {"dir": "/exchange"}}}
