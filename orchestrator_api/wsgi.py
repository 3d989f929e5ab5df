"""The API as a WSGI application."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from orchestrator_api.incoming import WholeBodies
from orchestrator_api.uploads import tidy_up
from web.journal import settle

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_api.settings")
application = WholeBodies(get_wsgi_application())
# The views are loaded now, so that the first caller does not wait and faults show at the start.
get_resolver().url_patterns  # noqa: B018 - a property that imports
# Before the first request: the remains of a dead worker are cleaned up.
tidy_up()
settle()
# Objects loaded by now stay: collecting them again and again would delay requests.
gc.collect()
gc.freeze()
