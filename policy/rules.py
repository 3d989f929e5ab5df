"""What an installation allows (`Policy`) and what one Workflow may use beside it (`Grant`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

SHIPPED_IMAGES = ("processor-resource-manager", "federated-learning-manager", "sample-ai-engine")
# Plain programs that the local engine has as well.
PLAIN_IMAGES = ("busybox", "alpine", "python")
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NOBODY: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True)
class Policy:
    """What an installation allows every Workflow, as plain data from the settings of the same names.

    - `images`: patterns of whole image names. `image_registries`: where registered AI engines and the shipped programs
      may be pulled from.
    - `config_maps`, `secrets`, `volume_claims`: by exact name.
    - `artifact_endpoints`: addresses of blob stores; None where the engine keeps artifacts itself, whatever store
      a manifest names.
    - `http_origins`: scheme, host and port of addresses that artifacts may be fetched from.
    - `known`: parameters that have the same value in every Workflow, for texts that are not rendered yet.
    - `allowed_fields`: JSON pointer with `*` for any one part, and the JSON texts of the values that may stand there;
      None for any value.
    - `is_one_machine`: all nodes are this machine, so the node of a path does not matter.
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
    """What one Workflow may use as well: what the orchestrator makes for it or adds to it.

    - `partners`: the data partners it works for, each with the folders below which its path may lie.
    - `volume_claims`: the claims that hold those partners' folders.
    - `engines`: container names of the registered AI engines that it runs.
    - `labels`: the orchestrator's, by value; `annotations`: the orchestrator's, by name.
    """

    secrets: frozenset[str] = frozenset()
    config_maps: frozenset[str] = frozenset()
    partners: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOBODY)
    volume_claims: frozenset[str] = frozenset()
    engines: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    annotations: frozenset[str] = frozenset()
