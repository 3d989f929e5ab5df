"""Parameters that are too long for arguments: the orchestrator passes references, and the step runner fetches the
values.

`{"$parameter": NAME}` stands for a JSON value and `$parameter:NAME` for a string, each as the value of a field. They
are read at the address in ORCHESTRATOR_PARAMETERS_URL, which the orchestrator sets where needed; never at one that
the arguments name, since the callback token goes with the call.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from runtime.calls import Calls
from runtime.errors import ActionError

URL_VARIABLE = "ORCHESTRATOR_PARAMETERS_URL"
_MARK = "$parameter"


class Parameters:
    """Replaces references by their values, each fetched once."""

    def __init__(self, calls: Calls, environment: Mapping[str, str] | None = None) -> None:
        self._calls = calls
        self._url = (os.environ if environment is None else environment).get(URL_VARIABLE, "")
        self._fetched: dict[str, Any] = {}

    def resolved(self, value: Any) -> Any:
        """Return a JSON value with its references replaced; raise ActionError or CallError where that fails."""
        if isinstance(value, list):
            # A string in a list is never a reference: lists hold ids of patients.
            return [self._field(each) if isinstance(each, dict | list) else each for each in value]
        if isinstance(value, dict):
            return {key: self._field(each) for key, each in value.items()}
        return value

    def _field(self, value: Any) -> Any:
        name = _referred(value)
        return self.resolved(value) if name is None else self._value(name)

    def _value(self, name: str) -> Any:
        if not self._url:
            raise ActionError(f"the arguments refer to the parameter {name}, but {URL_VARIABLE} is not set")
        if name not in self._fetched:
            answer = self._calls.get_json(f"{self._url}?name={quote(name, safe='')}")
            if not isinstance(answer, dict) or "value" not in answer:
                raise ActionError(f"the answer for the parameter {name} has no value")
            self._fetched[name] = answer["value"]
        return self._fetched[name]


def _referred(value: Any) -> str | None:
    """Return the name of the parameter that a field's value refers to, None when it is not a reference."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_MARK), str):
        return str(value[_MARK])
    if isinstance(value, str) and value.startswith(f"{_MARK}:"):
        return value.removeprefix(f"{_MARK}:")
    return None
