from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("schemas.urls")),
    path("api/", include("executions.urls")),
    path("api/", include("runs.urls")),
    path("api/", include("registry.urls")),
]
