"""How far a study is to go: what all who search it at the same time have to agree on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What the last search of a study has said.

    Args:
        trials: how many trials the study shall have in the end.
        parallel: for how many trials at once, on all machines together, it is laid out.
        timeout: seconds that its trials may take together, divided by ``parallel``; None for no limit.
        stop: the study ends once it is settled that a placement gains more than what matters, or none does.
        worth: smallest gain that matters, in units of the metric; None where the noise decides.
    """

    trials: int
    parallel: int
    timeout: float | None = None
    stop: bool = False
    worth: float | None = None

    @property
    def unseen(self) -> int:
        """How many of the latest trials have no say in the next one.

        A single worker sees all of them. Of several, one may be busy with a dear placement; the others can finish
        as many cheap ones meanwhile as this number allows.
        """
        return 0 if self.parallel == 1 else 3 * self.parallel - 1
