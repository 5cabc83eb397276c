"""A progress bar of a search, in notebooks and on terminals."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from nas_attn.record import TrialRecord, n_ended

Told = Callable[[Sequence[TrialRecord]], None]


@contextmanager
def progress_bar(
    trials: int, *, shown: bool | None, first_look: Callable[[Sequence[TrialRecord]], Sequence[str]]
) -> Iterator[Told]:
    """A listener that shows a progress bar.

    Args:
        trials: number of trials of the study.
        shown: whether there is a bar; None shows one in notebooks and on terminals.
        first_look: new findings about the search from its first records, in sentences, which are written above the
            bar.
    """
    if not (_is_interactive() if shown is None else shown):
        yield lambda records: None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns where a notebook has no widgets, and draws letters
        from tqdm.auto import tqdm

        bar = tqdm(total=trials, unit="trial")

    def tell(records: Sequence[TrialRecord]) -> None:
        for sentence in first_look(records):
            bar.write(sentence)
        bar.update(n_ended(records) - bar.n)

    with bar:
        yield tell


def _is_interactive() -> bool:
    return "ipykernel" in sys.modules or sys.stderr.isatty()
