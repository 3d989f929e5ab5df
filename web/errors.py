"""The project's errors, each with a code, an HTTP status and a public text.

The tree::

    OrchestratorError
    ├── InvalidInput (400)            the request's content; carries one `Fault` for each thing wrong
    ├── InvalidToken (401)            a token that is none of ours, altered or expired
    ├── NotFound (404)                what a request names is not there
    ├── Conflict (409)                somebody else is, or was, there
    │   └── NotAllowedInState (409)   the thing exists but not in a state that allows this
    │       └── CallbackNotAllowedInState (400)  the same, as the senders of callbacks know it
    ├── PreconditionFailed (412)      what is there is not what the request's If-Match names
    ├── KeyReused (422)               an Idempotency-Key came back with other content
    ├── TooLarge (413)
    ├── RangeNotSatisfiable (416)     a download was asked to go on behind its end
    ├── ServiceUnavailable (503)      something we depend on does not answer
    └── StorageFull (507)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with a request: where (a JSON pointer, RFC 6901), and what.

    File parts are pointed at as `/files/<part name>`, query parameters as `/query/<name>`.
    """

    pointer: str
    detail: str


class OrchestratorError(Exception):
    code = "error"
    status = 500
    title = "The orchestrator could not do this."

    def __init__(self, detail: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.faults = tuple(faults)

    @property
    def headers(self) -> Mapping[str, str]:
        """Return what an answer's headers say of this error."""
        return {}


class InvalidInput(OrchestratorError):
    code = "invalid-input"
    status = 400
    title = "The request has faults."


class InvalidToken(OrchestratorError):
    code = "invalid-token"
    status = 401
    title = "The token is not valid, or no longer."

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="orchestrator"'}


class NotFound(OrchestratorError):
    code = "not-found"
    status = 404
    title = "There is nothing here."


class Conflict(OrchestratorError):
    code = "conflict"
    status = 409
    title = "This conflicts with something that exists or is under way."


class NotAllowedInState(Conflict):
    code = "not-allowed-in-state"
    title = "This is not possible in the present state."


class CallbackNotAllowedInState(NotAllowedInState):
    status = 400


class PreconditionFailed(OrchestratorError):
    code = "precondition-failed"
    status = 412
    title = "This is no longer what the request's If-Match names."


class KeyReused(OrchestratorError):
    code = "idempotency-key-reused"
    status = 422
    title = "This Idempotency-Key was used with other content."


class TooLarge(OrchestratorError):
    code = "too-large"
    status = 413
    title = "The request is larger than this service takes."


class RangeNotSatisfiable(OrchestratorError):
    code = "range-not-satisfiable"
    status = 416
    title = "The range that was asked for begins behind the end."

    def __init__(self, size: int) -> None:
        super().__init__(f"There are {size} bytes.")
        self.size = size

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Content-Range": f"bytes */{self.size}", "Accept-Ranges": "bytes"}


class ServiceUnavailable(OrchestratorError):
    code = "service-unavailable"
    status = 503
    title = "Something this service depends on does not answer."
    retry_after_seconds = 5

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(self.retry_after_seconds)}


class StorageFull(OrchestratorError):
    code = "storage-full"
    status = 507
    title = "There is no room to store this."
