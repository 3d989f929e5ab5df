"""Images as commands of this machine: what a container runs, with which environment, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

_REFERENCE = re.compile(r"\$(\$|\([-._a-zA-Z0-9]+\))")


class ImageUnknown(Exception):
    """An image that no pattern of the option `images` matches."""


class EnvironmentNotReady(Exception):
    """A ConfigMap or Secret of a container's environment does not exist."""


def compile_ahead(patterns: Iterable[str]) -> None:
    """Compile patterns of image names now, for this process and its forks."""
    for pattern in patterns:
        fnmatchcase("", pattern)


class Images:
    """The option `images`: patterns of image names, and the command of each."""

    def __init__(self, patterns: Mapping[str, Mapping[str, Any]]) -> None:
        self._patterns = patterns
        self._known: dict[str, Mapping[str, Any]] = {}

    def find(self, image: str) -> Mapping[str, Any]:
        """Return the command of an image. Raises `ImageUnknown`."""
        entry = self._known.get(image)
        if entry is None:
            entry = next((found for pattern, found in self._patterns.items() if fnmatchcase(image, pattern)), None)
            if entry is None:
                raise ImageUnknown(
                    f'ErrImagePull: no pattern of the engine\'s option "images" matches "{image}", '
                    "and the local engine does not pull images"
                )
            self._known[image] = entry
        return entry


class Surroundings:
    """The ConfigMaps, Secrets and fields that a container's environment may refer to."""

    def __init__(
        self,
        config_maps: Mapping[str, Mapping[str, str]],
        secrets: Mapping[str, Mapping[str, str]],
        fields: Callable[[str], str],
    ) -> None:
        self.config_maps = config_maps
        self.secrets = secrets
        self.fields = fields


def environment(container: Mapping[str, Any], surroundings: Surroundings) -> dict[str, str]:
    """Return the variables that a container declares. Raises `EnvironmentNotReady`."""
    values: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        kind, known = ("configMapRef", surroundings.config_maps)
        if source.get("secretRef") is not None:
            kind, known = ("secretRef", surroundings.secrets)
        reference = source[kind]
        found = known.get(reference["name"])
        if found is None and not reference.get("optional"):
            raise EnvironmentNotReady(
                f"CreateContainerConfigError: {'secret' if kind == 'secretRef' else 'configmap'} "
                f'"{reference["name"]}" not found'
            )
        prefix = source.get("prefix") or ""
        values.update({f"{prefix}{key}": value for key, value in (found or {}).items()})
    for variable in container.get("env") or ():
        value = _variable(variable, surroundings)
        if value is not None:
            values[variable["name"]] = expanded(value, values)
    return values


def _variable(variable: Mapping[str, Any], surroundings: Surroundings) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        value = variable.get("value")
        return "" if value is None else str(value)
    if source.get("fieldRef"):
        return surroundings.fields(source["fieldRef"]["fieldPath"])
    kind, known = ("configMapKeyRef", surroundings.config_maps)
    if source.get("secretKeyRef") is not None:
        kind, known = ("secretKeyRef", surroundings.secrets)
    reference = source[kind]
    found = known.get(reference["name"], {}).get(reference["key"])
    if found is None and not reference.get("optional"):
        raise EnvironmentNotReady(
            f"CreateContainerConfigError: couldn't find key {reference['key']} in "
            f"{'Secret' if kind == 'secretKeyRef' else 'ConfigMap'} {reference['name']}"
        )
    return found


def expanded(text: str, values: Mapping[str, str]) -> str:
    """Return a text with `$(NAME)` replaced as Kubernetes does; unknown names stay."""
    if "$(" not in text and "$$" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        if match.group(1) == "$":
            return "$"
        return values.get(match.group(1)[1:-1], match.group(0))

    return _REFERENCE.sub(one, text)


def argv_of(container: Mapping[str, Any], image: Mapping[str, Any], variables: Mapping[str, str]) -> Sequence[str]:
    """Return the program of a container: its own command, else its image's, and its arguments."""
    command = container.get("command") or image.get("command") or ()
    arguments = container.get("args") or (() if container.get("command") else image.get("args") or ())
    return [expanded(str(part), variables) for part in (*command, *arguments)]
