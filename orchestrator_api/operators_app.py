from django.contrib.admin import apps


class OperatorsAdminConfig(apps.AdminConfig):
    """Django's admin with the operators' own site in place of its plain one."""

    default_site = "orchestrator_api.operators.OperatorsSite"
