"""The tags that an expression sees, as nested maps: `steps.a.outputs.result` and so on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from engines.local.interpreter.values import InvalidExpression

# Names with which an expression may begin; each is at least an empty map.
ROOTS = frozenset(
    {
        "workflow",
        "inputs",
        "outputs",
        "steps",
        "tasks",
        "item",
        "pod",
        "node",
        "retries",
        "lastRetry",
        "status",
        "duration",
        "exitCode",
        "resourcesDuration",
        "cronworkflow",
    }
)
# Tags with both a text and tags below them; here the map is used.
_WITH_BOTH = ("parameters", "labels", "annotations", "item")

Layers = Sequence[Mapping[str, str]]


class Names:
    """All tags of a scope, and the artifacts there; `now` is the time, in seconds since 1970."""

    __slots__ = ("artifacts", "layers", "now")

    def __init__(
        self,
        layers: Layers,
        now: Callable[[], float],
        artifacts: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.layers = layers
        self.now = now
        self.artifacts = artifacts

    def root(self, name: str) -> Any:
        """Return the value of a name with which an expression begins. Raises `InvalidExpression`."""
        if name not in ROOTS:
            raise InvalidExpression(f"unknown name {name}")
        return Entry(self, name)

    def exact(self, tag: str) -> str | None:
        """Return a tag's own text, None where it has none."""
        for layer in self.layers:
            value = layer.get(tag)
            if value is not None:
                return value
        return None

    def below(self, prefix: str) -> Iterator[str]:
        """Yield the tags below a tag, or all of them."""
        for layer in self.layers:
            yield from (tag for tag in layer if tag.startswith(prefix))

    def size(self) -> int:
        """Return the number of tags."""
        return sum(len(layer) for layer in self.layers)


class Entry:
    """A tag, or the map of the tags below it; its use decides which."""

    __slots__ = ("names", "tag")

    def __init__(self, names: Names, tag: str) -> None:
        self.names = names
        self.tag = tag

    def inner(self, key: str) -> Entry:
        """Return the node below, which may be empty."""
        return Entry(self.names, f"{self.tag}.{key}" if self.tag else key)

    def plain(self, spend: Callable[[int], None]) -> Any:
        """Return the tag's text, else the map of the tags below it, else nil."""
        own = self.names.exact(self.tag)
        if own is not None and not self.tag.endswith(_WITH_BOTH):
            return own
        if artifact := self.names.artifacts.get(self.tag):
            return {"name": artifact.get("name", "")}
        spend(self.names.size())
        prefix = f"{self.tag}." if self.tag else ""
        found: dict[str, Any] = {}
        for tag in self.names.below(prefix):
            _put(found, tag.removeprefix(prefix).split("."), self.names.exact(tag))
        if found:
            return found
        return {} if own is None and self.tag in ROOTS else own


def _put(holder: dict[str, Any], path: list[str], value: Any) -> None:
    *folders, last = path
    for folder in folders:
        inner = holder.get(folder)
        if not isinstance(inner, dict):
            inner = holder[folder] = {}
        holder = inner
    # The map is used where there is one.
    if not isinstance(holder.get(last), dict):
        holder.setdefault(last, value)
