"""The display of the demo: in a terminal a table that changes in place, else a line for each change."""

from __future__ import annotations

import time
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column


class View(Protocol):
    """Shows AI services and their steps while they run."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def show(self, key: str, name: str, state: str, done: bool) -> None:
        """Show the state that one service or step is in now; `key` identifies it, `name` is shown."""


def view_of(console: Console) -> View:
    return Rows(console) if console.is_terminal else Lines(console)


class Rows:
    """A row for each service and step, with its time."""

    def __init__(self, console: Console) -> None:
        wrapped = Column(overflow="fold", no_wrap=False)
        self._progress = Progress(
            SpinnerColumn(),
            TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
            TextColumn("{task.description}", table_column=wrapped),
            TextColumn("{task.fields[state]}", table_column=Column(no_wrap=True)),
            console=console,
        )
        self._live = Live(self._progress, console=console, refresh_per_second=8)
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, key: str, name: str, state: str, done: bool) -> None:
        if key not in self._rows:
            self._rows[key] = self._progress.add_task(name, total=1, state=state)
        self._progress.update(self._rows[key], state=state, completed=1 if done else 0)


class Lines:
    """A plain line for each change, for a pipe or a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._shown: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def show(self, key: str, name: str, state: str, done: bool) -> None:
        if self._shown.get(key) != state:
            self._shown[key] = state
            seconds = time.monotonic() - self._started
            self._console.print(f"{seconds:6.1f} s  {name}: {state}", soft_wrap=True, highlight=False, markup=False)
