"""Which of the evaluations that wait may begin beside those that run."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.study.workers.pool import Task


def take_turn(waiting: list[Task], running: Sequence[Task]) -> Task | None:
    """The one that may begin now, taken out; None where there is none.

    One that is to run alone waits until no other runs, and none begins meanwhile: what then ends its worker is
    itself, and not a neighbour that took the memory.

    Args:
        waiting: for a worker, the oldest first.
        running: what the workers do.
    """
    lonely = [task for task in waiting if task.alone]
    if any(task.alone for task in running) or (lonely and running) or not waiting:
        return None
    task = (lonely or waiting)[0]
    waiting.remove(task)
    return task
