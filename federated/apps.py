from django.apps import AppConfig
from django.core import checks

from federated.checks import check_adapters


class FederatedConfig(AppConfig):
    name = "federated"

    def ready(self) -> None:
        checks.register(check_adapters)
