from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class OrchestratorApiConfig(AppConfig):
    default = True
    name = "orchestrator_api"
    verbose_name = "Access to the API"


class OperatorsAdminConfig(AdminConfig):
    """Django's admin with the operators' own site in place of its plain one."""

    default_site = "orchestrator_api.operators.OperatorsSite"
