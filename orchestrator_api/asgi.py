"""The API as it is served: the WSGI application inside the ASGI shell that holds the connections."""

from orchestrator_api.wsgi import application as wsgi_application

# Only after the application, which sets Django up.
from orchestrator_api.server.shell import Shell  # isort: skip

application = Shell(wsgi_application)
