"""The base of every action."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from runtime.calls import Calls


@dataclass(frozen=True)
class Context:
    """The objects that actions use."""

    calls: Calls


@dataclass(frozen=True)
class Action(ABC):
    """One action of the step runner; subclasses are frozen dataclasses whose fields are those on the wire."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, context: Context) -> None:
        """Carry the action out; raise RuntimeFault or OSError when that fails."""

    def faults(self) -> Iterator[str]:
        """Yield faults between fields."""
        yield from ()
