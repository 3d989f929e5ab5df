"""The adapters of this installation, created once for each process from settings.FEDERATED_ADAPTERS."""

from __future__ import annotations

from federated.adapters.base import ChannelAdapter
from web.configured import Configured

_adapters: Configured[ChannelAdapter] = Configured("FEDERATED_ADAPTERS", "channel adapter")
get_adapter = _adapters.get
forget_adapters = _adapters.forget
