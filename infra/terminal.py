"""What the reader sees: numbered steps, progress bars, log lines, and at the end a table of every step and its time."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from infra.errors import StepFailed

Advance = Callable[[int], None]


@dataclass
class Done:
    """A finished step; `result` is filled in by the step itself."""

    title: str
    result: str = ""
    seconds: float = 0.0
    alone: bool = True  # no other step ran at the same time


_STEP: ContextVar[Done | None] = ContextVar("step", default=None)  # of this thread


class Terminal:
    """Writes to a console and remembers the steps. Several threads may each have a step at once: then every line names
    its step. `live_table`, `table`, `summary` and `failure` are for the main thread."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console(highlight=False)
        self.steps: list[Done] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._running: list[Done] = []
        self._mute = not self.console.is_terminal  # a bar in a file or a pipe is noise

    @contextmanager
    def step(self, title: str) -> Iterator[Done]:
        """Announces a step, times it, and says its result; a step that raises is not counted as done."""
        done, began = Done(title), self._clock()
        self._begin(done)
        before = _STEP.set(done)
        try:
            yield done
            done.seconds = self._clock() - began
            self.steps.append(done)
            result = escape(self._named(done.result or "done"))
            self.console.print(f"  [green]{result}[/] [dim]({done.seconds:.1f} s)[/]", soft_wrap=True)
        finally:
            _STEP.reset(before)
            with self._lock:
                self._running.remove(done)

    def _begin(self, done: Done) -> None:
        with self._lock:
            self._running.append(done)
            if len(self._running) > 1:
                for running in self._running:
                    running.alone = False
        self.console.print(f"[bold cyan]>[/] [bold]{escape(done.title)}[/]")

    def _named(self, text: str) -> str:
        """The text after the title of this thread's step, where others run beside it."""
        step = _STEP.get()
        return text if step is None or step.alone else f"{step.title}: {text}"

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        """A progress bar over `total` things; gives the function that counts them."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True, disable=self._mute) as progress:
            task = progress.add_task(escape(title), total=total)
            yield lambda count: progress.advance(task, count)

    @contextmanager
    def transfer(self, title: str, total_bytes: int) -> Iterator[Advance]:
        """A progress bar over bytes, with the speed and the time left."""
        columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Progress(
            *columns, TimeRemainingColumn(), console=self.console, transient=True, disable=self._mute
        ) as progress:
            task = progress.add_task(escape(title), total=total_bytes)
            yield lambda count: progress.advance(task, count)

    def line(self, text: str) -> None:
        """One line, as it is, such as one of a log."""
        self.console.print(f"  [dim]|[/] {escape(self._named(text))}", soft_wrap=True)

    def say(self, text: str) -> None:
        """A sentence."""
        self.console.print(f"  {escape(text)}", soft_wrap=True)

    @property
    def can_ask(self) -> bool:
        """Whether a person sits at it."""
        return self.console.is_terminal and sys.stdin.isatty()

    def ask(self, question: str) -> bool:
        """Whether a person answers yes; the end of the input is a no."""
        try:
            return self.console.input(f"  {escape(question)} Type yes: ").strip().lower() == "yes"
        except EOFError:
            return False

    @contextmanager
    def live_table(self, header: tuple[str, ...]) -> Iterator[Callable[[list[tuple[str, ...]]], None]]:
        """A table that is drawn anew with each call of what this gives. Where there is no terminal only the last one
        is, when this ends, also by an exception."""
        rows: list[tuple[str, ...]] = []
        if self._mute:
            try:
                yield lambda found: rows.__setitem__(slice(None), found)
            finally:
                self.console.print(_table("", header, rows))
            return
        with Live(console=self.console, auto_refresh=False) as live:
            yield lambda found: live.update(_table("", header, found), refresh=True)

    def table(self, title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
        """A table; times are aligned right."""
        self.console.print(_table(title, header, rows))

    def summary(self) -> None:
        """The table of all steps."""
        rows = [(done.title, done.result, f"{done.seconds:.1f} s") for done in self.steps]
        total = sum(done.seconds for done in self.steps)
        self.table("Steps", ("Step", "Result", "Time"), [*rows, ("Total", "", f"{total:.1f} s")])

    def failure(self, error: StepFailed) -> None:
        """Why a step failed, the evidence, and what to do next."""
        for line in error.evidence:
            self.line(line)
        self.console.print(f"[bold red]Failed:[/] {escape(error.reason)}", soft_wrap=True)
        self.console.print(f"[bold]Next:[/] {escape(error.next_step)}", soft_wrap=True)


def _table(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold")
    for name in header:
        table.add_column(name, justify="right" if name == "Time" else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    return table
