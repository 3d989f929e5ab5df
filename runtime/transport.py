"""Connections to the orchestrator and the registry: by HTTPS where the environment says so, with verified
certificates."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter

HTTPS_HOSTS_VARIABLE = "ORCHESTRATOR_HTTPS_HOSTS"
AUTHORITY_VARIABLE = "ORCHESTRATOR_API_CA"


@dataclass(frozen=True)
class Transport:
    """The hosts (`host:port`, as in manifests) that use HTTPS, and further certificates (PEM) to trust."""

    https_hosts: frozenset[str] = frozenset()
    authority: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read ORCHESTRATOR_HTTPS_HOSTS, separated by commas, and ORCHESTRATOR_API_CA."""
        values = os.environ if environment is None else environment
        hosts = (host.strip().lower() for host in values.get(HTTPS_HOSTS_VARIABLE, "").split(","))
        return cls(frozenset(host for host in hosts if host), values.get(AUTHORITY_VARIABLE, ""))

    def address(self, url: str) -> str:
        """Return an address with `https` in place of `http` where its host uses it.

        Manifests write `http://{{workflow.parameters.platform_maasApiHostname}}/…` themselves.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.netloc.lower() not in self.https_hosts:
            return url
        return parts._replace(scheme="https").geturl()

    def adapter(self) -> HTTPAdapter:
        """Return a session's adapter for HTTPS."""
        return _TrustingAdapter(self.authority) if self.authority else HTTPAdapter()


class _TrustingAdapter(HTTPAdapter):
    """Trust a further authority beside the usual ones."""

    def __init__(self, authority: str) -> None:
        self._context = ssl.create_default_context()
        self._context.load_verify_locations(cadata=authority)
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **options)
