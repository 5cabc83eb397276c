"""What each process of a soak was doing last, by the lines that it notes in a common file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nas_attn.budget import Budget
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, TrialRecord
from nas_attn.training.evaluation import LookupEvaluator

STARTING, DECIDING, EVALUATING, WRITING = "starting", "deciding or waiting", "evaluating", "writing down"
WORKING = (DECIDING, EVALUATING, WRITING)
_PHASES = {"ready": DECIDING, "begin": EVALUATING, "end": WRITING, "wrote": DECIDING}


@dataclass(frozen=True)
class Notebook:
    """Lines of a word, the process's number and more; many processes write at once.

    Args:
        path: of the file.
    """

    path: Path

    def note(self, word: str, more: str = "") -> None:
        """One write of less than a page to a file opened for appending is whole, whoever else writes."""
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{word} {os.getpid()} {more}\n".encode())
        os.close(file)

    def lines(self) -> list[tuple[str, int, str]]:
        """Word, process and what else was noted."""
        if not self.path.exists():
            return []
        split = (line.split(" ", 2) for line in self.path.read_text().splitlines())
        return [(word, int(process), more) for word, process, more in split]


@dataclass(frozen=True)
class Noted:
    """Notes each evaluation that it begins and ends.

    Args:
        evaluator: asked.
        notebook: where to note.
    """

    evaluator: LookupEvaluator
    notebook: Notebook

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        key = f"{placement.id} {budget.steps} {seed}"
        self.notebook.note("begin", key)
        outcome = self.evaluator(placement, budget, seed)
        self.notebook.note("end", key)
        return outcome

    def listen(self, records: Sequence[TrialRecord]) -> None:
        """A search tells its listener when it has written a trial down."""
        self.notebook.note("wrote")


@dataclass
class Phases:
    """Reads what was noted since the last time.

    Args:
        notebook: to read.
    """

    notebook: Notebook
    _place: int = 0
    _last: dict[int, str] = field(default_factory=dict)

    def of(self, process: int) -> str:
        """What a process was doing when it noted something the last time."""
        self._follow()
        return self._last.get(process, STARTING)

    def _follow(self) -> None:
        if not self.notebook.path.exists():
            return
        with self.notebook.path.open("rb") as file:
            file.seek(self._place)
            whole, _, _ = file.read().rpartition(b"\n")
            self._place += len(whole) + 1 if whole else 0
        for line in whole.decode().splitlines():
            word, process, *_ = line.split(" ")
            self._last[int(process)] = _PHASES[word]
