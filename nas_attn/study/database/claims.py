"""Which process evaluates which trial: claims in a table next to Optuna's, kept alive by heartbeats."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError, IntegrityError, SQLAlchemyError

from nas_attn.errors import LostStorageError, StudyError
from nas_attn.study.database.signs_of_life import Watch, has_ended, this_process

BEAT_SECONDS = 5.0
PATIENCE_SECONDS = 60.0
"""A claim is given to another process if its holder has given no sign of life for this long."""
_BIRTH = -1
"""Instead of a trial's number: the right to write a new study's settings."""
_BIRTH_SECONDS = 30.0
_ALL = -2
"""Instead of a trial's number: the right to run all trials of a study."""
_LOOK_SECONDS = 0.5

_CLAIMS = Table(
    "nas_attn_claims",
    MetaData(),
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(128), nullable=False),
    Column("beat", Integer, nullable=False),
)

_NUMBERS = itertools.count()

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrialClaim:
    """A trial that a process has claimed.

    Args:
        holder: name of the process.
        beat: number of its heartbeats so far.
    """

    holder: str
    beat: int


class Claims(Protocol):
    """The right to decide and to evaluate a trial. At any time, at most one process has it."""

    def take(self, number: int) -> bool:
        """Claim a trial; False if another process holds it. A process may claim its own trials again."""

    def give_back(self, number: int) -> None:
        """Return a claim, so that others can take it."""

    def settle(self, number: int) -> None:
        """Drop a claim that is no longer needed, because the trial has ended."""

    def held_by_others(self) -> Mapping[int, TrialClaim]:
        """The trials that other processes have claimed."""


class NoClaims:
    """For a storage that no other process can see."""

    def take(self, number: int) -> bool:
        """Always True: there is no other process."""
        return True

    def give_back(self, number: int) -> None:
        """Do nothing: no other process waits for it."""

    def settle(self, number: int) -> None:
        """Do nothing: there is no claim to drop."""

    def held_by_others(self) -> Mapping[int, TrialClaim]:
        """Always empty."""
        return {}


class ClaimTable:
    """Claims in the study's database. A claim is made by inserting a row, which only one process can do.

    Args:
        engine: of the database.
        study_id: Optuna's number of the study.
        holder: name of this process.
        do: runs what a search cannot do without; it may wait for a server that is temporarily unavailable.
    """

    def __init__(
        self, engine: Engine, study_id: int, holder: str | None = None, do: Callable[..., Any] = lambda act: act()
    ) -> None:
        self._engine = engine
        self._study = _CLAIMS.c.study_id == study_id
        self._study_id = study_id
        self._holder = holder or f"{this_process()}:{next(_NUMBERS)}"
        self._mine = self._study & (_CLAIMS.c.holder == self._holder)
        self._do = do
        self._settled: set[int] = set()
        _make_table(engine)

    def take(self, number: int) -> bool:
        """Claim a trial; False if another process holds it. A process may claim its own trials again."""
        taken: bool = self._do(lambda: self._take(number))
        return taken

    def give_back(self, number: int) -> None:
        """Return a claim, so that others can take it."""
        self._do(lambda: self._delete(self._mine & (_CLAIMS.c.number == number)))

    def settle(self, number: int) -> None:
        """Drop a claim that is no longer needed; its row is deleted with the next claim."""
        self._settled.add(number)

    def held_by_others(self) -> Mapping[int, TrialClaim]:
        """The trials that other processes have claimed."""
        found: dict[int, TrialClaim] = self._do(self._held_by_others)
        return found

    def beat(self) -> None:
        """Write a heartbeat."""
        with self._engine.begin() as connection:
            connection.execute(update(_CLAIMS).where(self._mine).values(beat=_CLAIMS.c.beat + 1))

    def release(self, number: int, claim: TrialClaim) -> bool:
        """Take a claim away from its holder, unless the holder has given a sign of life in the meantime."""
        same = (_CLAIMS.c.number == number) & (_CLAIMS.c.holder == claim.holder) & (_CLAIMS.c.beat == claim.beat)
        return self._delete(self._study & same) > 0

    def release_the_dead(self) -> None:
        """Take all claims away from processes of this machine that have ended."""
        for number, claim in self._held_by_others().items():
            if has_ended(claim.holder) and self.release(number, claim):
                log.warning("%s is free again: process %s has ended", _told(number), claim.holder)

    def give_all_back(self) -> None:
        """Return all claims of this process."""
        self._delete(self._mine)

    def _take(self, number: int) -> bool:
        row = {"study_id": self._study_id, "number": number, "holder": self._holder, "beat": 0}
        settled = sorted(self._settled - {number})
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_CLAIMS).values(row))
                if settled:
                    connection.execute(delete(_CLAIMS).where(self._mine & _CLAIMS.c.number.in_(settled)))
        except IntegrityError:
            with self._engine.connect() as connection:
                held = select(_CLAIMS.c.holder).where(self._study & (_CLAIMS.c.number == number))
                return connection.scalar(held) == self._holder
        self._settled.difference_update(settled)
        return True

    def _held_by_others(self) -> dict[int, TrialClaim]:
        others = self._study & (_CLAIMS.c.holder != self._holder)
        query = select(_CLAIMS.c.number, _CLAIMS.c.holder, _CLAIMS.c.beat).where(others)
        with self._engine.connect() as connection:
            return {number: TrialClaim(holder, beat) for number, holder, beat in connection.execute(query)}

    def _delete(self, which: ColumnElement[bool]) -> int:
        with self._engine.begin() as connection:
            return connection.execute(delete(_CLAIMS).where(which)).rowcount


@contextmanager
def alive(claims: Claims) -> Iterator[None]:
    """Write heartbeats for the claims of this process, and release the claims of silent processes. At the end,
    return all claims.

    Args:
        claims: of this process.
    """
    if not isinstance(claims, ClaimTable):
        yield
        return
    ended = threading.Event()
    with suppress(SQLAlchemyError, LostStorageError):  # the next heartbeat tries again
        claims.release_the_dead()
    thread = threading.Thread(target=_beat, args=(claims, ended, BEAT_SECONDS, PATIENCE_SECONDS), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=BEAT_SECONDS)
        try:
            claims.give_all_back()
        except (SQLAlchemyError, LostStorageError):
            log.info(
                "the storage cannot be reached; other workers take over the trials of this process after a while"
            )


@contextmanager
def alone(claims: Claims, problem: str) -> Iterator[None]:
    """Hold the right to run all trials of a study, whatever the folder or machine.

    The holder gives signs of life; it loses the right after a minute without any.

    Args:
        claims: of this process.
        problem: error message if another process has it.
    Raises:
        StudyError: another process has it.
    """
    with alive(claims):
        seen: TrialClaim | None = None
        while not claims.take(_ALL):
            holder = claims.held_by_others().get(_ALL)
            if seen is not None and holder is not None and holder != seen:
                raise StudyError(problem)
            seen = holder
            time.sleep(_LOOK_SECONDS)
        yield


@contextmanager
def right_of_birth(engine: Engine, study_id: int) -> Iterator[None]:
    """Let only one process at a time write a new study's settings; others wait for it, but not for ever."""
    claims = ClaimTable(engine, study_id)
    end = time.monotonic() + _BIRTH_SECONDS
    while not claims.take(_BIRTH):
        others = claims.held_by_others()
        if _BIRTH in others and (has_ended(others[_BIRTH].holder) or time.monotonic() > end):
            claims.release(_BIRTH, others[_BIRTH])
        time.sleep(0.05)
    try:
        yield
    finally:
        claims.give_all_back()


def _beat(claims: ClaimTable, ended: threading.Event, beat_seconds: float, patience: float) -> None:
    watch: Watch[int] = Watch(patience, beat_seconds)
    while not ended.wait(beat_seconds):
        try:
            claims.beat()
            claims.release_the_dead()
            others = claims.held_by_others()
            for number in watch.look(others):
                if claims.release(number, others[number]):
                    log.warning("%s is free again: nothing was heard of %s", _told(number), others[number].holder)
        except LostStorageError:
            return  # whoever searches finds it, too
        except SQLAlchemyError as error:
            log.info("no heartbeat: %s", " ".join(str(error).split())[:200])


def _told(number: int) -> str:
    return f"trial {number}" if number >= 0 else "the study"


def _make_table(engine: Engine) -> None:
    if inspect(engine).has_table(_CLAIMS.name):
        return
    try:
        _CLAIMS.create(engine)
    except DatabaseError:  # another process has made it meanwhile
        if not inspect(engine).has_table(_CLAIMS.name):
            raise
