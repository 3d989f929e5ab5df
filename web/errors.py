"""The project's errors, each with a code, an HTTP status and a public text.

The tree::

    OrchestratorError
    ├── InvalidInput (400)            the request's content; carries one `Fault` for each thing wrong
    ├── InvalidToken (401)            a token that is not ours, was altered or has expired
    ├── NotFound (404)                the resource does not exist
    ├── Conflict (409)                existing data or another request prevents this one
    │   └── NotAllowedInState (409)   the state of the resource does not allow this
    │       └── CallbackNotAllowedInState (400)  the same, in the form that senders of callbacks know
    ├── PreconditionFailed (412)      the resource is not the version of the request's If-Match
    ├── KeyReused (422)               an Idempotency-Key was used again with other content
    ├── TooLarge (413)
    ├── RangeNotSatisfiable (416)     the requested range begins after the end of the content
    ├── ServiceUnavailable (503)      the service, or one it depends on, cannot answer now
    └── StorageFull (507)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault of a request: its place (a JSON pointer, RFC 6901), and its description.

    File parts are pointed at as `/files/<part name>`, query parameters as `/query/<name>`.
    """

    pointer: str
    detail: str


class OrchestratorError(Exception):
    code = "error"
    status = 500
    title = "The orchestrator could not carry out the request."

    def __init__(self, detail: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.faults = tuple(faults)

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of an answer with this error."""
        return {}


class InvalidInput(OrchestratorError):
    code = "invalid-input"
    status = 400
    title = "The request has faults."


class InvalidToken(OrchestratorError):
    code = "invalid-token"
    status = 401
    title = "The token is not valid or has expired."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="orchestrator"'}


class NotFound(OrchestratorError):
    code = "not-found"
    status = 404
    title = "The resource does not exist."


class Conflict(OrchestratorError):
    code = "conflict"
    status = 409
    title = "The request conflicts with existing data or with another request."


class NotAllowedInState(Conflict):
    code = "not-allowed-in-state"
    title = "The present state does not allow this."


class CallbackNotAllowedInState(NotAllowedInState):
    status = 400


class PreconditionFailed(OrchestratorError):
    code = "precondition-failed"
    status = 412
    title = "The resource is not the version that the request's If-Match names."


class KeyReused(OrchestratorError):
    code = "idempotency-key-reused"
    status = 422
    title = "The Idempotency-Key was already used with other content."


class TooLarge(OrchestratorError):
    code = "too-large"
    status = 413
    title = "The request is too large."


class RangeNotSatisfiable(OrchestratorError):
    code = "range-not-satisfiable"
    status = 416
    title = "The requested range begins after the end of the content."

    def __init__(self, size: int) -> None:
        super().__init__(f"The content has {size} bytes.")
        self.size = size

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Content-Range": f"bytes */{self.size}", "Accept-Ranges": "bytes"}


class ServiceUnavailable(OrchestratorError):
    code = "service-unavailable"
    status = 503
    title = "The service, or a service that it depends on, cannot answer now."
    retry_after_seconds = 5

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class StorageFull(OrchestratorError):
    code = "storage-full"
    status = 507
    title = "The storage is full."
