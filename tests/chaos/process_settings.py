"""Settings of a controller that the chaos starts as a process: the test's database, one engine behind the proxy."""

import json
import os

from orchestrator_api.settings import *  # noqa: F403

ENGINE = "argo"
ALLOWED_IMAGES = ["busybox:*"]
ENGINES = {"argo": {"class": "tests.chaos.mortal.MortalEngine", "options": json.loads(os.environ["CHAOS_ENGINE"])}}
