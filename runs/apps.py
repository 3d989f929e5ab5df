from django.apps import AppConfig
from django.core import checks

from policy.conf import check_settings
from runs.checks import check_engines


class RunsConfig(AppConfig):
    name = "runs"

    def ready(self) -> None:
        checks.register(check_engines)
        checks.register(check_settings)
