from importlib import import_module

from django.apps import AppConfig


class ExecutionsConfig(AppConfig):
    name = "executions"
    verbose_name = "Executions"

    def ready(self) -> None:
        # The registration imports models, which are not loaded yet when this module is.
        import_module("executions.registration").register_all()
