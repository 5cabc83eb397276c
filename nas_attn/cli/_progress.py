"""A running search: a live display on a terminal, plain lines elsewhere; warnings; stopping."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas_attn.analysis import COSTS, RankedPlacement, Ranking, rank
from nas_attn.cli._console import Harmless
from nas_attn.cli._stream import OutputError
from nas_attn.record import Role, State, TrialRecord, n_ended
from nas_attn.reporting.progress.pace import Pace
from nas_attn.reporting.terminal.tables import add_numbers
from nas_attn.steps import StepCount
from nas_attn.wording.numbers import amount, duration
from nas_attn.wording.placements import describe
from nas_attn.wording.rankings import gained

_PAUSE_PER_RANKING = 20.0
"""The ranking for the display may take at most a twentieth of the time."""
_FRONT_ROWS = 6
_WORKER_ROWS = 8
_LINES = 20
_PHASES = {Role.REFERENCE: "reference architectures", Role.PROPOSAL: "proposals", Role.FINALIST: "finals"}


class SearchProgress:
    """Shows the progress of a search. Call it with all records whenever one of them changes.

    Args:
        console: where to show it; on a terminal it is refreshed twice a second.
        pace: of the search.
        cost: the second objective.
        first_look: new findings about the search from its first records, in sentences.
    """

    def __init__(
        self,
        console: Console,
        pace: Pace,
        *,
        cost: str,
        first_look: Callable[[Sequence[TrialRecord]], Sequence[str]] = lambda records: (),
    ) -> None:
        self._console = console
        self._first_look = first_look
        self._pace = pace
        self._cost = cost
        self._told = -1
        self._records: Sequence[TrialRecord] = ()
        self._steps: dict[int, StepCount] = {}
        self._ranking = rank((), cost=cost)
        self._again = 0.0
        self._live = (
            Live(console=console, refresh_per_second=2, transient=True, get_renderable=self._harmless)
            if console.is_terminal
            else None
        )

    def __call__(self, records: Sequence[TrialRecord]) -> None:
        """Show the state of the search."""
        self._records = tuple(records)
        self._pace.note(records)
        for sentence in self._first_look(records):
            self._console.print(sentence, soft_wrap=True)
        if self._live is not None:
            self._rank(patient=True)
        elif self._done != self._told and self._done % max(1, self._pace.expected(records) // _LINES) == 0:
            self._told = self._done
            self._rank()
            self._console.print(self._line(), soft_wrap=True)

    def follow(self, number: int, steps: StepCount) -> None:
        """Show the progress of a trial's training."""
        self._steps[number] = steps
        self._pace.follow(number, steps)

    def so_far(self) -> str:
        """The number of trials that have ended, and the best placement, in a line."""
        self._rank()
        return f"{self._count()}; {_best(self._ranking)}"

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    @property
    def _done(self) -> int:
        return n_ended(self._records)

    def _harmless(self) -> RenderableType:
        return Harmless(self._display())

    def _display(self) -> RenderableType:
        records, pace = self._records, self._pace
        bar = Table.grid(padding=(0, 2))
        times = f"{duration(pace.elapsed)} so far, {self._left_text()}"
        bar.add_row(
            ProgressBar(total=pace.expected(records), completed=self._done, width=24), self._count(), times
        )
        phase = Text(f"now: {_phase(records)}{_failures(records)}")
        return Group(bar, phase, self._workers(), Text(_best(self._ranking), style="bold"), _front(self._ranking))

    def _line(self) -> str:
        return f"{self._count()}{_failures(self._records)}, {self._left_text()}; {_best(self._ranking)}"

    def _left_text(self) -> str:
        return f"about {duration(self._pace.left(self._records))} left"

    def _rank(self, *, patient: bool = False) -> None:
        """Compute the ranking again; if ``patient``, only if that takes a small share of the time."""
        now = time.monotonic()
        if patient and now < self._again:
            return
        self._ranking = rank(self._records, cost=self._cost)
        self._again = time.monotonic() + _PAUSE_PER_RANKING * (time.monotonic() - now)

    def _count(self) -> str:
        n_done = self._done
        return f"{n_done} trials" if self._pace.timeout is not None else f"{n_done}/{self._pace.trials} trials"

    def _workers(self) -> RenderableType:
        """One row for each running trial: its number, its time, its steps."""
        table = Table.grid(padding=(0, 2))
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column()  # the only one that may shrink, so that the numbers stay whole
        running = self._pace.running(self._records)
        for number, seconds in list(running.items())[:_WORKER_ROWS]:
            steps = self._steps.get(number)  # of a trial that runs elsewhere, nothing is known
            shown = f"{steps.taken}/{steps.total} steps" if steps is not None and steps.total else ""
            placement = Text(describe(self._records[number].placement), no_wrap=True, overflow="ellipsis")
            table.add_row(Text(f"trial {number}"), Text(duration(seconds)), Text(shown), placement)
        if len(running) > _WORKER_ROWS:
            return Group(table, Text(f"and {len(running) - _WORKER_ROWS} more"))
        return table


def _phase(records: Sequence[TrialRecord]) -> str:
    return _PHASES[records[-1].role] if records else "starting the workers"


def _failures(records: Sequence[TrialRecord]) -> str:
    failed = sum(record.state is State.FAILED for record in records)
    return f", {failed} failed" if failed else ""


def _best(ranking: Ranking) -> str:
    """The leader compared with the baseline, in a line."""
    if ranking.plain is None:
        return "baseline: not finished yet"
    plain = f"baseline {100 * ranking.plain.iou_mean:.1f}"
    others = [row for row in ranking.rows if not row.is_plain]
    tested = [row for row in others if row.tested and row.fresh]
    leader = max(tested or others, key=lambda row: row.iou_expected, default=None)
    if leader is None:
        return plain
    return f"{plain}; best so far {_difference(leader, ranking.metric.word)}: {describe(leader.placement)}"


def _difference(row: RankedPlacement, word: str) -> str:
    if row.gain is None:
        return f"{100 * row.iou_mean:.1f}"
    seeds = f"{row.n_seeds} seed{'s' if row.n_seeds > 1 else ''}"
    return f"{gained(row)} {word} points expected ({seeds})"


def _front(ranking: Ranking) -> Table:
    """The placements on the front, the cheapest first, with the baseline at its place."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False)
    # Only the first column may shrink: it is shortened, and the numbers stay whole.
    table.add_column("front")
    add_numbers(table, f"{ranking.metric.word} x100", "gain", "seeds", ranking.cost)
    front = sorted((row for row in ranking.rows if row.on_front), key=lambda row: row.iou_expected, reverse=True)
    for row in front[:_FRONT_ROWS]:
        gain = "" if row.is_plain else gained(row)
        cost = amount(COSTS[ranking.cost](row.cost) or 0.0)
        placement = Text(describe(row.placement), no_wrap=True, overflow="ellipsis")
        table.add_row(placement, f"{100 * row.iou_mean:.1f}", gain, str(row.n_seeds), cost)
    return table


@contextmanager
def stoppable(tell: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM, which schedulers send, stop the work as Ctrl-C does.

    Args:
        tell: says what a stop means, before KeyboardInterrupt continues.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        tell()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def warnings_on(console: Console) -> Iterator[None]:
    """Print warnings and errors that nas-attn logs, above a live display."""
    handler = _OnConsole(console)
    logger = logging.getLogger("nas_attn")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _OnConsole(logging.Handler):
    """Prints one line for each record."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        with suppress(OutputError):  # who logs is not to blame, and what is printed next says so
            self._console.print(f"{record.levelname.lower()}: {record.getMessage()}", soft_wrap=True)
