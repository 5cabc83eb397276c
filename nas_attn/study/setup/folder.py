"""The folder of a study: its database, settings and exports, and the lock of the process that searches it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from nas_attn.commands import command
from nas_attn.errors import StudyError
from nas_attn.study.database.sqlite import sqlite_url

STUDIES = Path("studies")


@dataclass(frozen=True)
class StudyFolder:
    """The folder of a study's files.

    Args:
        path: such as ``studies/nuclei``.
    """

    path: Path

    @classmethod
    def of(cls, study: str) -> StudyFolder:
        """The folder of a study by its name, in the current folder."""
        return cls(STUDIES / study)

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.path.name

    @property
    def settings(self) -> Path:
        """The study file that repeats the search."""
        return self.path / "study.yaml"

    @property
    def space(self) -> Path:
        """The resolved search space."""
        return self.path / "space.yaml"

    @property
    def best(self) -> Path:
        """The exported best architecture."""
        return self.path / "best.yaml"

    @property
    def packed_images(self) -> Path:
        """The decoded images, which the workers share; written again if they are missing.

        The name is not ``images``, because a data set has its own images there.
        """
        return self.path / "packed-images"

    @property
    def data_files(self) -> Path:
        """Digests of the images when the study started, to find out which have changed."""
        return self.path / "data-files.json"

    def log(self, who: str) -> Path:
        """The log file of one process of the study."""
        return self.path / "logs" / f"{who}.log"

    @property
    def panels(self) -> Path:
        """Prediction panels of a report; made again if they are missing or show another winner."""
        return self.path / "panels"

    @property
    def artifacts(self) -> Path:
        """Files that users of the dashboard have added to the study."""
        return self.path / "artifacts"

    @property
    def default_url(self) -> str:
        """URL of a SQLite database in this folder."""
        return sqlite_url(self.path / "study.db")

    @property
    def has_database(self) -> bool:
        """Whether the study is stored in this folder."""
        return (self.path / "study.db").is_file()

    def make(self) -> None:
        """Create the folder.

        Raises:
            StudyError: it cannot be created.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StudyError(f"{self.path}: the study's folder cannot be made: {error.strerror}") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Allow only one search at a time. The lock ends with the process, however that ends.

        Raises:
            StudyError: another process searches this study.
        """
        taken = (
            f"{self.path}: another process searches this study; help it with {command('worker', self.name)}, "
            "wait for it, or use another --study"
        )
        with alone_with(self.path / "lock", taken, f"{self.path}: the study's folder cannot be written"):
            yield


@contextmanager
def alone_with(path: Path, taken: str, unwritable: str) -> Iterator[None]:
    """Hold the lock of a file, without waiting for it. The lock ends with this process, however that ends.

    Args:
        path: of the file.
        taken: error message if another process holds it.
        unwritable: error message if there can be no such file.
    Raises:
        StudyError: one of the two.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise StudyError(taken) from None
    except OSError as error:
        raise StudyError(f"{unwritable}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
