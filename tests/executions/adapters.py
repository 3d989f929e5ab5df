"""A channel adapter for tests: notes what it is told, and is away or refuses where a test says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from federated.adapters.base import ChannelAdapter, ChannelRefused, ChannelSpec, ChannelUnavailable
from federated.adapters.environment import common_environment

SECRET = "FEDERATED_KAFKA_PASSWORD"


class NotingAdapter(ChannelAdapter):
    """`calls` holds what was asked of it; `away` and `refuses` say what becomes of the next calls."""

    def __init__(self, alias: str, options: Mapping[str, Any]) -> None:
        self.calls: list[tuple[str, str]] = []
        self.specs: list[ChannelSpec] = []
        self.away = False
        self.refuses = ""

    def environment(self, spec: ChannelSpec) -> dict[str, str]:
        return {**common_environment(spec), "COMMUNICATION_ADAPTER": "KAFKA"}

    def secret_variables(self) -> tuple[str, ...]:
        return (SECRET,)

    def open(self, spec: ChannelSpec) -> dict[str, str]:
        self._answer("open", spec.id)
        self.specs.append(spec)
        return {SECRET: "of the channel"}

    def close(self, channel_id: str) -> None:
        self._answer("close", channel_id)

    def remains(self) -> dict[str, tuple[str, ...]]:
        return {}

    def _answer(self, what: str, channel_id: str) -> None:
        if self.away:
            raise ChannelUnavailable("no broker answers")
        if self.refuses:
            raise ChannelRefused(self.refuses)
        self.calls.append((what, channel_id))
