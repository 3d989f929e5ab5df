"""Settings of a controller that tests start as a process: the test's database and folder, and the shared double."""

import os

from orchestrator_api.settings import *  # noqa: F403

ENGINE = "double"
ENGINES = {"double": {"class": "tests.runs.doubles.FolderEngine", "options": {"root": os.environ["DOUBLE_ROOT"]}}}
MEDIA_ROOT = os.path.join(os.environ["DOUBLE_ROOT"], "media")  # noqa: PTH118
STORAGES = {**STORAGES, "default": {"BACKEND": "tests.runs.doubles.DyingStorage"}}  # noqa: F405
