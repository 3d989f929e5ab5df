"""The engines of this installation, made once for each process from settings.ENGINES."""

from __future__ import annotations

from engines.base import Engine
from web.configured import Configured

_engines: Configured[Engine] = Configured("ENGINES", "engine")
get_engine = _engines.get
forget_engines = _engines.forget
