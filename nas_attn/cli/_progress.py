"""A search while it runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas_attn.analysis import RankedPlacement, Ranking, rank
from nas_attn.cli._console import Harmless
from nas_attn.record import Role, State, TrialRecord
from nas_attn.wording.numbers import amount, duration
from nas_attn.wording.placements import describe
from nas_attn.wording.rankings import gained

_PAUSE_PER_RANKING = 20.0
"""A ranking for the display may take a twentieth of the time at most."""
_FRONT_ROWS = 6
_LINES = 20
_PHASES = {Role.CONTROL: "reference architectures", Role.PROPOSAL: "proposals", Role.FINALIST: "finals"}


class SearchProgress:
    """Shows how far a search is; call it with all records whenever one of them changes.

    Args:
        console: where to show it.
        trials: how many there shall be in the end.
        workers: trials that run at once.
        cost: the second objective.
        trial_seconds: expected time of a trial, until trials have shown theirs.
        timeout: seconds of all trials together after which none begins; None for no limit.
        spent: what of these the trials have taken so far.
    """

    def __init__(
        self,
        console: Console,
        *,
        trials: int,
        workers: int,
        cost: str,
        trial_seconds: float,
        timeout: float | None = None,
        spent: Callable[[Sequence[TrialRecord]], float] = lambda records: 0.0,
    ) -> None:
        self._console = console
        self._trials = trials
        self._workers = workers
        self._cost = cost
        self._trial_seconds = trial_seconds
        self._timeout = timeout
        self._spent = spent
        self._started = time.monotonic()
        self._told = -1
        self._last: Ranking | None = None
        self._again = 0.0
        self._live = Live(console=console, refresh_per_second=2, transient=True) if console.is_terminal else None

    def __call__(self, records: Sequence[TrialRecord]) -> None:
        """Show the state of the search."""
        done = sum(record.state is not State.RUNNING for record in records)
        if self._live is not None:
            self._live.update(Harmless(self._display(records, done)))
        elif done != self._told and done % max(1, self._expected(records, done) // _LINES) == 0:
            self._told = done
            self._console.print(self._line(records, done), soft_wrap=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def _display(self, records: Sequence[TrialRecord], done: int) -> RenderableType:
        ranking = self._ranking(records)
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=self._expected(records, done), completed=done, width=40),
            self._count(done),
            f"{duration(time.monotonic() - self._started)} so far, {duration(self._left(records, done))} left",
        )
        lines = [Text(f"now: {_phase(records)}{_failures(records)}"), Text(_best(ranking), style="bold")]
        return Group(bar, *lines, _front(ranking))

    def _line(self, records: Sequence[TrialRecord], done: int) -> str:
        ranking = rank(records, cost=self._cost)
        left = duration(self._left(records, done))
        return f"{self._count(done)}{_failures(records)}, about {left} left; {_best(ranking)}"

    def _ranking(self, records: Sequence[TrialRecord]) -> Ranking:
        """As it was a moment ago, where making it anew would take more than a small share of the time."""
        now = time.monotonic()
        if self._last is None or now >= self._again:
            self._last = rank(records, cost=self._cost)
            self._again = time.monotonic() + _PAUSE_PER_RANKING * (time.monotonic() - now)
        return self._last

    def _count(self, done: int) -> str:
        return f"{done} trials" if self._timeout is not None else f"{done}/{self._trials} trials"

    def _left(self, records: Sequence[TrialRecord], done: int) -> float:
        by_number = max(0, self._trials - done) * self._each(records) / self._workers
        if self._timeout is None:
            return by_number
        return min(by_number, max(0.0, self._timeout - self._spent(records)))

    def _expected(self, records: Sequence[TrialRecord], done: int) -> int:
        """How many trials there will be, as far as that is known."""
        return min(self._trials, done + round(self._left(records, done) * self._workers / self._each(records)))

    def _each(self, records: Sequence[TrialRecord]) -> float:
        seconds = [record.outcome.seconds for record in records if record.outcome is not None]
        return max(1e-3, sum(seconds) / len(seconds) if seconds else self._trial_seconds)


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
    for title in (f"{ranking.metric.word} x100", "gain", "seeds", ranking.cost):
        table.add_column(title, justify="right", no_wrap=True)
    front = sorted((row for row in ranking.rows if row.on_front), key=lambda row: row.iou_expected, reverse=True)
    for row in front[:_FRONT_ROWS]:
        gain = "" if row.is_plain else gained(row)
        cost = amount(row.cost.macs) if ranking.cost == "macs" else amount(_cost(row, ranking.cost))
        placement = Text(describe(row.placement), no_wrap=True, overflow="ellipsis")
        table.add_row(placement, f"{100 * row.iou_mean:.1f}", gain, str(row.n_seeds), cost)
    return table


def _cost(row: RankedPlacement, cost: str) -> float:
    from nas_attn.analysis import COSTS

    return COSTS[cost](row.cost) or 0.0
