from django.apps import AppConfig


class OrchestratorApiConfig(AppConfig):
    name = "orchestrator_api"
    verbose_name = "Access to the API"
