"""Errors that the user can fix, named by their cause."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class NasAttnError(Exception):
    """An error with a remedy: where it is, what is wrong and what would be right.

    The command line prints each problem on its own line and exits with status 2.

    Args:
        problems: one problem, or all that were found together.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[NasAttnError], tuple[tuple[str, ...]]]:
        return type(self), (self.problems,)


class UsageError(NasAttnError):
    """A command or a function was called with arguments that do not fit."""


class RegistryError(NasAttnError):
    """A name is unknown, or was registered twice."""


class SpaceError(NasAttnError):
    """A search space file has errors, or a placement lies outside its space."""


class AttentionError(NasAttnError):
    """An attention module was given an option or a feature map that it cannot take."""


class NetworkError(NasAttnError):
    """A network description is impossible, or an image does not fit the network."""


class DataError(NasAttnError):
    """A data set cannot be used as it is."""


class TrainingError(NasAttnError):
    """A run cannot be trained."""


class DivergedError(TrainingError):
    """The loss or the weights of a run stopped being finite."""


class MachineError(NasAttnError):
    """Something that an evaluation needs from its machine is missing or broken. The placement is not the cause."""


class StudyError(NasAttnError):
    """A study cannot be created, read or continued."""


class LostStorageError(StudyError):
    """A study's database is no longer the one that was opened."""


class ExportError(NasAttnError):
    """An architecture or weights file cannot be written or read."""


class MissingPackageError(NasAttnError):
    """An optional package is needed for what was asked."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known name, or else all of them.

    >>> did_you_mean("cbm", ["se", "cbam"])
    "did you mean 'cbam'?"
    >>> did_you_mean("xyz", ["se", "cbam"])
    'known: cbam, se'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or '(none)'}"
