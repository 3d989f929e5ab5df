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
# The views are loaded now: the first caller doesn't wait for them, and what is broken shows at the start.
get_resolver().url_patterns  # noqa: B018 - a property that imports
# Before the first request: what another worker left when it died is put in order.
tidy_up()
settle()
# What is loaded by now stays for good: looking through all of it again and again would make requests wait.
gc.collect()
gc.freeze()
