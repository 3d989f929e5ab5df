"""Which images may run: patterns with exact registry and name and a free last part."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

from policy.outline import SYMBOL
from policy.rules import SHIPPED_IMAGES, Grant, Policy

_IMAGE = re.compile(
    r"(?P<name>[A-Za-z0-9][-A-Za-z0-9._]*(:[0-9]{1,5})?(/[A-Za-z0-9][-A-Za-z0-9._]*)*)"
    r"(:(?P<tag>[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
# The execution chooses the AI engine; at upload its name is not known.
_ENGINE = re.compile(r"(?P<registry>[^\0]+)/\0execution_[^\0]*-container-name\0(:.*)?", re.DOTALL)
_LATER = "later"


def is_image(text: str) -> bool:
    """Return whether a text is the name of an image."""
    return _IMAGE.fullmatch(text) is not None


def name_of(image: str) -> str:
    """Return an image's registry and name, without tag and digest."""
    name = image.partition("@")[0]
    head, slash, last = name.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def digest_of(image: str) -> str:
    """Return the digest that an image is named by, empty where there is none."""
    return image.partition("@")[2]


def is_allowed(image: str, policy: Policy, grant: Grant) -> bool:
    """Return whether an image, as it will be pulled, may run."""
    if (engine := _ENGINE.fullmatch(image)) is not None:
        return engine["registry"] in policy.image_registries or _matches(SYMBOL.sub(_LATER, image), policy)
    image = SYMBOL.sub(_LATER, image)
    if not is_image(image):
        return False
    registry, _, name = name_of(image).rpartition("/")
    if registry in policy.image_registries and name in SHIPPED_IMAGES:
        return True
    if any(f"{each}/{engine}" == name_of(image) for each in policy.image_registries for engine in grant.engines):
        return True
    return _matches(image, policy)


def _matches(image: str, policy: Policy) -> bool:
    named = image.partition("@")[0]
    return any(fnmatchcase(each, pattern) for pattern in policy.images for each in (image, named))


def pattern_complaint(pattern: str) -> str:
    """Return what is wrong with a pattern of images, or ''."""
    head, _, last = pattern.rpartition("/")
    if any(character in head for character in "*?["):
        return "may hold * only behind its last slash: registry and folders are exact"
    if not is_image(last.replace("*", "x").replace("?", "x")) or (head and not is_image(f"{head}/x")):
        return "is not the name of an image"
    return ""
