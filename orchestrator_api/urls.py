from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.negotiation import DefaultContentNegotiation

from orchestrator_api import health

# For people. Processes that only Workflows call do not serve it, so it needs no protection there.
_pages = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("admin/", admin.site.urls),
    # The one address with several formats: YAML, or JSON by `?format=json` or Accept.
    path(
        "api/schema/",
        SpectacularAPIView.as_view(content_negotiation_class=DefaultContentNegotiation),
        name="schema",
    ),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
]
urlpatterns = [
    *(_pages if settings.ADMIN_ENABLED else []),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("api/", include("schemas.urls")),
    path("api/", include("executions.urls")),
    path("api/", include("runs.urls")),
    path("api/", include("federated.urls")),
    path("api/", include("registry.urls")),
]

handler400 = "orchestrator_api.problems.handler400"
handler403 = "orchestrator_api.problems.handler403"
handler404 = "orchestrator_api.problems.handler404"
handler500 = "orchestrator_api.problems.handler500"
