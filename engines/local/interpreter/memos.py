"""memoize: a template that has run before with the same key is not run again; it gets the outputs of that time.

Source: https://argo-workflows.readthedocs.io/en/latest/memoization/.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from engines.local.interpreter.calls import Call, CallError, Owner
from engines.local.interpreter.nodes import Node
from engines.local.interpreter.retries import seconds_of
from engines.local.interpreter.tags import Scope, compiled, fill, text_of

if TYPE_CHECKING:
    from engines.local.interpreter.machine import Machine

_KEY = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9]{0,252}")


class Memo(NamedTuple):
    """The cache and the key of a memo: `max_age` in seconds, None for any."""

    cache: str
    key: str
    max_age: float | None


class Memos:
    """Outputs of templates, by cache and key; these are kept as long as the Workflow."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[float, dict[str, Any]]] = {}

    def load(self, memo: Memo, now: float) -> dict[str, Any] | None:
        """Return outputs that are not too old, or None."""
        at, outputs = self._known.get((memo.cache, memo.key), (0.0, None))
        return None if memo.max_age is not None and now - at > memo.max_age else outputs

    def save(self, memo: Memo, outputs: dict[str, Any], now: float) -> None:
        """Remember outputs."""
        self._known[memo.cache, memo.key] = (now, outputs)


def memo_of(call: Call, scope: Scope) -> Memo | None:
    """Return the memo of a call's template, None where it has none. Raises `CallError` or
    `Unresolved`."""
    if not call.template.get("memoize"):
        return None
    wanted = fill(compiled(call.template["memoize"]), scope.lookup)
    key = text_of(wanted["key"])
    if not _KEY.fullmatch(key):
        raise CallError(f"invalid cache key: {key}")
    try:
        max_age = seconds_of(wanted["maxAge"]) if wanted.get("maxAge") else None
    except ValueError as error:
        raise CallError(f"invalid maxAge: {error}") from error
    return Memo(text_of(wanted["cache"]["configMap"]["name"]), key, max_age)


def status_of(memo: Memo, *, hit: bool) -> dict[str, Any]:
    """Return the memoization status of a node."""
    return {"hit": hit, "key": memo.key, "cacheName": memo.cache}


class Remembering(Owner):
    """Remembers the outputs of a call that succeeds."""

    def __init__(self, machine: Machine, memo: Memo, owner: Owner) -> None:
        self.machine = machine
        self.memo = memo
        self.owner = owner

    def child_done(self, node: Node) -> None:
        if node["phase"] == "Succeeded":
            self.machine.memos.save(self.memo, node.get("outputs") or {}, self.machine.now())
        self.owner.child_done(node)
