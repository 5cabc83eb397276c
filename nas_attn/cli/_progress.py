"""A search while it runs: a live display on a terminal, plain lines elsewhere; warnings; how it is stopped."""

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
"""A ranking for the display may take a twentieth of the time at most."""
_FRONT_ROWS = 6
_WORKER_ROWS = 8
_LINES = 20
_PHASES = {Role.REFERENCE: "reference architectures", Role.PROPOSAL: "proposals", Role.FINALIST: "finals"}


class SearchProgress:
    """Shows how far a search is; call it with all records whenever one of them changes.

    Args:
        console: where to show it; on a terminal it is drawn anew twice a second, whatever happens.
        pace: of the search.
        cost: the second objective.
        first_look: what some records add to what is known of the search, in sentences.
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
        """Show how far the training of a trial is."""
        self._steps[number] = steps
        self._pace.follow(number, steps)

    def so_far(self) -> str:
        """How many trials have ended, and the best of them, in a line."""
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
        """Make the ranking anew; patiently, where that takes no more than a small share of the time."""
        now = time.monotonic()
        if patient and now < self._again:
            return
        self._ranking = rank(self._records, cost=self._cost)
        self._again = time.monotonic() + _PAUSE_PER_RANKING * (time.monotonic() - now)

    def _count(self) -> str:
        n_done = self._done
        return f"{n_done} trials" if self._pace.timeout is not None else f"{n_done}/{self._pace.trials} trials"

    def _workers(self) -> RenderableType:
        """A row for each trial under way: which, since when, its steps."""
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
    """The leader against the plain U-Net, in a line."""
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
    """The cheapest to the dearest placement of the front, the plain U-Net at its place."""
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
    """SIGTERM, as schedulers send it, ends what is done here as Ctrl-C does.

    Args:
        tell: says what a stop means, before KeyboardInterrupt goes on.
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
    """Print what nas-attn logs as a warning or an error; a live display stays below."""
    handler = _OnConsole(console)
    logger = logging.getLogger("nas_attn")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _OnConsole(logging.Handler):
    """A line for each record."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        with suppress(OutputError):  # who logs is not to blame, and what is printed next says so
            self._console.print(f"{record.levelname.lower()}: {record.getMessage()}", soft_wrap=True)
