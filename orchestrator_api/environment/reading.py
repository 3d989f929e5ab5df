"""The environment as the settings read it; all values are checked at once, by the table."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured

from orchestrator_api.environment import forms
from orchestrator_api.environment.choices import FALSE, TOLD, TRUE
from orchestrator_api.environment.forms import FOLDER, Form
from orchestrator_api.environment.likeness import is_of_a_service, unknown_like_ours
from orchestrator_api.environment.rules import look_at
from orchestrator_api.environment.shown import LONGEST_REASON, one_line, shown
from orchestrator_api.environment.table import BY_FIELD_NAME, BY_NAME, Variable, variables
from orchestrator_api.networks import Networks
from orchestrator_api.privacy import make_private_folder

_NEEDED: Any = object()


class WrongSettings(ImproperlyConfigured):
    """Wrong settings. Each fault is one line that names its variable. `notes` are warnings beside them."""

    def __init__(self, faults: Sequence[str], notes: Sequence[str] = ()) -> None:
        super().__init__("\n".join(faults))
        self.faults, self.notes = faults, notes


class Environment:
    """The values of environment variables, by the names of the table.

    `notes` are warnings for the operator; `asked` the variables read so far, with their defaults; `database` Django's
    settings of a database that variables name. Raises WrongSettings with all faults. `serves`: whether callers come to
    this process, by a host's name.
    """

    def __init__(self, given: Mapping[builtins.str, builtins.str], *, serves: bool = False) -> None:
        self.given = given
        self.asked: dict[builtins.str, Any] = {}
        self._values: dict[builtins.str, Any] = {}
        self._faults: builtins.list[builtins.str] = []
        self._wrong: set[builtins.str] = set()
        self._words: builtins.list[builtins.str] = []
        for variable in variables():
            self._read(variable)
        found = look_at(self._values, given, serves=serves)
        self.database = found.database
        known = [*BY_NAME, *BY_FIELD_NAME, TOLD]
        unknown = list(unknown_like_ours(given, known))
        self.notes = [*self._words, *found.notes, *unknown]
        # A wrong value is not reported as missing as well.
        missing = [name for name in found.missing if name not in self._wrong]
        if faults := [*([_missing(missing)] if missing else []), *self._faults, *found.faults]:
            # Only the warnings that may explain the faults.
            raise WrongSettings(faults, unknown)

    def str(self, name: builtins.str, default: Any = _NEEDED) -> builtins.str:
        """Return a variable as a string; a list is joined again."""
        value = self._get(name, default)
        return ",".join(value) if isinstance(value, list) else cast(builtins.str, value)

    def int(self, name: builtins.str, default: Any = _NEEDED) -> builtins.int:
        """Return a variable that is a whole number."""
        return cast(builtins.int, self._get(name, default))

    def float(self, name: builtins.str, default: Any = _NEEDED) -> builtins.float:
        """Return a variable that is a number."""
        return cast(builtins.float, self._get(name, default))

    def bool(self, name: builtins.str, default: Any = _NEEDED) -> builtins.bool:
        """Return a variable that is true or false."""
        return cast(builtins.bool, self._get(name, default))

    def list(self, name: builtins.str, default: Any = _NEEDED) -> builtins.list[Any]:
        """Return a variable that holds several values."""
        return list(self._get(name, default))

    def networks(self, name: builtins.str, default: Iterable[builtins.str]) -> Networks:
        """Return a variable that is ranges of addresses."""
        return cast(Networks, self._get(name, tuple(map(ip_network, default))))

    def json(self, name: builtins.str, default: Any = _NEEDED) -> Any:
        """Return a JSON variable."""
        return self._get(name, default)

    def _get(self, name: builtins.str, default: Any) -> Any:
        self.asked[name] = default
        if name in self._values:
            return self._values[name]
        if default is _NEEDED:
            raise WrongSettings([_missing([name])])
        return default

    def _read(self, variable: Variable) -> None:
        """Take a variable's value from either of its two names."""
        texts = {name: self.given[name] for name in (variable.name, variable.field_name) if name in self.given}
        texts = {name: text for name, text in texts.items() if self._says_something(variable, name, text)}
        if len(texts) > 1 and not texts[variable.name].strip():
            del texts[variable.name]
        values = {name: self._value_of(name, text, variable.form) for name, text in texts.items()}
        if None in values.values():
            self._wrong.add(variable.name)
        if None in values.values() or not values:
            return
        first, *others = values.values()
        if others and others[0] != first:
            said = " and ".join(f"{name}={shown(text, variable.form)}" for name, text in texts.items())
            self._faults.append(f"{said} are two names of one setting: set one of them, or both to the same value")
            return
        self._values[variable.name] = first
        for name, text in texts.items():
            if variable.form is forms.DEVELOPMENT and text.strip().lower() not in (*TRUE, *FALSE, ""):
                said = f"{name}={shown(text, variable.form)}"
                self._words.append(f"{said} counts as false: expected {variable.form.expected}")

    def _says_something(self, variable: Variable, name: builtins.str, text: builtins.str) -> builtins.bool:
        """Return whether a variable counts as set: an empty value under another installation's name does not."""
        is_field_name = name == variable.field_name or name.startswith("DATABASE_")
        return not (is_field_name and not text.strip()) and not is_of_a_service(name, text)

    def _value_of(self, name: builtins.str, text: builtins.str, form: Form) -> Any:
        """Return a value, None where it is wrong."""
        try:
            return form.read(text)
        except ValueError as error:
            reason = f" ({one_line(str(error), LONGEST_REASON)})" if str(error) else ""
            self._faults.append(f"{name}={shown(text, form)}: expected {form.expected}{reason}")
            return None


def _missing(names: Sequence[str]) -> str:
    return f"missing settings: {'; '.join(map(_described, names))}"


def _described(name: str) -> str:
    variable = BY_NAME.get(name)
    if variable is None:
        return name
    return f"{' or '.join(filter(None, (name, variable.field_name)))} (expected {variable.form.expected})"


def own_folder(name: str, folder: Path) -> None:
    """Make a folder that a setting names, readable for this service's user only. Raises WrongSettings."""
    try:
        make_private_folder(folder)
    except OSError as error:
        said = f"{name}={one_line(str(folder))}"
        raise WrongSettings([f"{said}: expected {FOLDER.expected} ({error.strerror})"]) from error
