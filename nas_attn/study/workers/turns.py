"""Which of the evaluations that wait may begin beside those that run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nas_attn.study.workers.pool import Task


@dataclass
class Turns:
    """Evaluations that wait for a worker, the oldest first.

    One that is to run alone waits until no other runs, and none begins meanwhile: what then ends its worker is
    itself, and not a neighbour that took the memory.
    """

    _waiting: list[Task] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, task: Task) -> None:
        """Let an evaluation wait."""
        self._waiting.append(task)

    def next(self, running: Sequence[Task]) -> Task | None:
        """The one that may begin now, taken out; None where there is none.

        Args:
            running: what the workers do.
        """
        lonely = [task for task in self._waiting if task.alone]
        if any(task.alone for task in running) or (lonely and running) or not self._waiting:
            return None
        task = (lonely or self._waiting)[0]
        self._waiting.remove(task)
        return task
