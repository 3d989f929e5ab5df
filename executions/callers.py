"""Which steps of a rendered Workflow call each of its templates, and what a text in a template can come from; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Template = Mapping[str, Any]

# A text that is one reference and nothing else; only such a text can be traced to its source.
TAG = re.compile(r"\s*\{\{([^{}]*)\}\}\s*")
_WORKFLOW, _INPUT, _ITEM = "workflow.parameters.", "inputs.parameters.", "item."
# The limit for calls within calls of nested loops: no known manifest comes near it.
_MOST_PLACES = 2_000


@dataclass(frozen=True, eq=False)
class Call:
    """A step or task that calls a template; `within` is the template that it stands in, None for the Workflow."""

    within: Template | None
    step: Mapping[str, Any]
    arguments: Mapping[str, str | None]


_Place = tuple[str, Template | None, Call | None]


class Callers:
    """The calls of a Workflow's templates; templates are compared by object identity."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._given = _values(spec.get("arguments"))
        listed = [each for each in spec.get("templates") or [] if isinstance(each, dict)]
        self._named = {str(each.get("name")): each for each in listed}
        self._calls: dict[int, list[Call]] = {}
        self._items: dict[Call, list[Any] | None] = {}
        for name in (spec.get("entrypoint"), spec.get("onExit")):
            self._note(name, Call(None, {}, {}))
        for template in listed:
            self._note_steps(template)

    def of(self, template: Template | None) -> list[Call]:
        """Return the calls of a template."""
        return self._calls.get(id(template), [])

    def origins(self, text: str, template: Template | None, step: Call | None = None) -> set[str]:
        """Return the possible sources of a text: plain texts, and tags for values known only at run time. Never empty.

        The text is in a template, or in the arguments of a step there; it is traced through inputs and items of loops.
        """
        found: set[str] = set()
        seen: set[tuple[str, int, int]] = set()
        todo: list[_Place] = [(text, template, step)]
        while todo:
            place = todo.pop()
            key = (place[0], id(place[1]), id(place[2]))
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > _MOST_PLACES:
                return {text}
            ends, further = self._follow(*place)
            found |= ends
            todo += further
        return found or {text}

    def items(self, call: Call) -> list[Any] | None:
        """Return the items that a call is repeated for; [] for no loop, None for items known only at run time."""
        if call not in self._items:
            # The items of a loop over its own items cannot be determined.
            self._items[call] = None
            self._items[call] = self._listed(call)
        return self._items[call]

    def _listed(self, call: Call) -> list[Any] | None:
        step = call.step
        if step.get("withSequence"):
            return None
        if step.get("withParam") is None:
            return list(step.get("withItems") or [])
        found: list[Any] = []
        for origin in self.origins(str(step["withParam"]), call.within):
            try:
                listed = json.loads(origin)
            except ValueError:
                return None
            if not isinstance(listed, list):
                return None
            found += listed
        return found

    def _follow(self, text: str, template: Template | None, step: Call | None) -> tuple[set[str], list[_Place]]:
        """Return the sources of a text that are final, and the places that must be traced further."""
        tag = TAG.fullmatch(text)
        word = tag[1].strip() if tag else ""
        if word.startswith(_WORKFLOW):
            value = self._given.get(word.removeprefix(_WORKFLOW))
            return ({text}, []) if value is None else (set(), [(value, None, None)])
        if word.startswith(_INPUT) and self.of(template):
            name = word.removeprefix(_INPUT)
            return set(), [self._argument(name, text, template or {}, call) for call in self.of(template)]
        if word == "item" or word.startswith(_ITEM):
            calls = [step] if step is not None else self.of(template)
            return {value for call in calls for value in self._of_items(word, text, call)} or {text}, []
        return {text}, []

    def _argument(self, name: str, text: str, template: Template, call: Call) -> _Place:
        """Return the place that gives an input its value in one call of its template."""
        if name in call.arguments:
            value = call.arguments[name]
            return (_unknown(text), None, None) if value is None else (value, call.within, call)
        own = _values(template.get("inputs")).get(name)
        if own is not None:
            return own, template, None
        # An input that is declared by name only takes the Workflow's argument of that name.
        return f"{{{{{_WORKFLOW}{name}}}}}", None, None

    def _of_items(self, word: str, text: str, call: Call) -> Iterator[str]:
        items = self.items(call)
        if items is None:
            yield text
            return
        for item in items:
            if word == "item":
                yield item if isinstance(item, str) else json.dumps(item)
            elif isinstance(item, dict):
                yield str(item.get(word.removeprefix(_ITEM), ""))

    def _note_steps(self, template: Template) -> None:
        groups = [group if isinstance(group, list) else [] for group in template.get("steps") or []]
        tasks = (template.get("dag") or {}).get("tasks") or []
        steps = [*(step for group in groups for step in group), *tasks]
        for step in (each for each in steps if isinstance(each, dict)):
            call = Call(template, step, _values(step.get("arguments")))
            self._note(step.get("template"), call)
            if isinstance(step.get("inline"), dict):
                self._calls.setdefault(id(step["inline"]), []).append(call)
                self._note_steps(step["inline"])
            # A step that depends on a looped step counts as called once for each item too.
            for hook in [{"template": step.get("onExit")}, *(step.get("hooks") or {}).values()]:
                self._note(hook.get("template"), Call(template, step, _values(hook.get("arguments"))))

    def _note(self, name: Any, call: Call) -> None:
        template = self._named.get(name) if isinstance(name, str) else None
        if template is not None:
            self._calls.setdefault(id(template), []).append(call)


def _unknown(text: str) -> str:
    """Return a text that is not traced further and names nothing."""
    return f"{text} of the run"


def _values(holder: Any) -> dict[str, str | None]:
    """Return the parameters of arguments or inputs by name, as texts; None for a parameter without a value."""
    parameters = (holder or {}).get("parameters") or []
    given = {str(each.get("name")): each.get("value", each.get("default")) for each in parameters}
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in given.items()
    }
