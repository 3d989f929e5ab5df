"""What differs between installations (`Policy`) and between Workflows (`Grant`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

SHIPPED_IMAGES = ("processor-resource-manager", "federated-learning-manager", "sample-ai-engine")
# Plain programs that the local engine knows beside them.
PLAIN_IMAGES = ("busybox", "alpine", "python")
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NOBODY: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class Policy:
    """What an installation allows every Workflow, as plain data; the settings of that name say it.

    - `images`: patterns of whole image names. `image_registries`: where registered AI engines and the shipped programs
      may be pulled from.
    - `config_maps`, `secrets`, `volume_claims`: by exact name.
    - `artifact_endpoints`: addresses of blob stores; None where the engine keeps artifacts itself, whatever store they
      name.
    - `http_origins`: scheme, host and port of addresses that artifacts may be fetched from.
    - `known`: parameters of every Workflow whose value is the same for all, for texts that are not rendered yet.
    - `allowed_fields`: JSON pointer with `*` for any one part, and the JSON texts of the values that may stand there;
      None for any value.
    - `is_one_machine`: all nodes are this machine, so that it does not matter on which a path is looked for.
    """

    service_accounts: tuple[str, ...] = ("argo-workflow",)
    allow_host_network: bool = False
    images: tuple[str, ...] = ()
    image_registries: tuple[str, ...] = ()
    config_maps: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    volume_claims: tuple[str, ...] = ()
    artifact_endpoints: tuple[str, ...] | None = ()
    http_origins: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    central_node: tuple[str, str] = ("nodeType", "central")
    known: tuple[tuple[str, str], ...] = ()
    allowed_fields: tuple[tuple[str, tuple[str, ...] | None], ...] = ()
    is_one_machine: bool = False


@dataclass(frozen=True)
class Grant:
    """What one Workflow may use beside that: what whoever runs it has made for it, or added to it.

    - `partners`: the data partners it works for, each with the folders below which its path may lie.
    - `volume_claims`: the claims that hold those partners' folders.
    - `engines`: container names of the registered AI engines that it runs.
    - `labels`: ours, by value; `annotations`: ours, by name.
    """

    secrets: frozenset[str] = frozenset()
    config_maps: frozenset[str] = frozenset()
    partners: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOBODY)
    volume_claims: frozenset[str] = frozenset()
    engines: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    annotations: frozenset[str] = frozenset()
