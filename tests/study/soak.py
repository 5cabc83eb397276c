"""Many processes search one study while they are killed, stopped and replaced at random; then it is checked.

  python tests/study/soak.py --seconds 300
  python tests/study/soak.py --seconds 300 --server postgresql
  python tests/study/soak.py --seconds 300 --clock

Besides, the data that all of them read are cut short, the database is deleted, replaced, cut short or loses its
log (and is brought back from what the searchers have written), and the disk is full when a log file closes.

A fault waits until the process that it hits works on a trial, and says what that was doing. Every finished
evaluation is recorded once, none is lost, the trials are those of an undisturbed search, and Optuna and its
dashboard can read the study at every moment. Prints figures as JSON; exits with 1 where a rule is broken.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import optuna
import sqlalchemy
from filelock import FileLock
from phases import EVALUATING, WORKING, Notebook, Noted, Phases
from warm import COSTS, SPACE

from nas_attn.budget import Budget
from nas_attn.errors import LostStorageError, NasAttnError
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, State, TrialRecord
from nas_attn.space import SearchSpace
from nas_attn.strategy.schedule.agenda import Agenda
from nas_attn.strategy.settings import Plan, StudySettings
from nas_attn.study import loop
from nas_attn.study.database import claims
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.sqlite import sqlite_url
from nas_attn.study.log import logging_to
from nas_attn.study.loop import run_trials
from nas_attn.study.setup.rescue import Rescued, import_study, read_rescued, write_rescued
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training import Precision, Recipe
from nas_attn.training.evaluation import DataSource, LookupEvaluator
from nas_attn.training.seal import broken_seal, check_seal, seal

PARALLEL = 6
BEAT_SECONDS, PATIENCE_SECONDS = 0.2, 2.0
EVALUATION_SECONDS = 0.05
LOST = 3
"""Exit status of a searcher whose database was lost."""
_LONGEST_WAIT = 30.0
_SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "stop": signal.SIGSTOP}


FULL_DISK = Path("/dev/full")
STUDY, FOLDER = "soak._-", "[/folder] ?a=%20 {0}#\N{SNOWMAN}"
"""Names that markup, formats and URLs would take for something else."""


@dataclass(frozen=True)
class Data:
    """A file that each evaluation reads, under a seal.

    Args:
        folder: in which it lies; is made anew where it is damaged.
    """

    folder: Path

    def mend(self) -> None:
        """Write the file where it is not what it should be."""
        with FileLock(f"{self.folder}.lock"):
            if broken_seal(self.folder):
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir()
                (self.folder / "pixels.npy").write_bytes(bytes(range(256)) * 256)
                seal(self.folder)

    def cut(self, size: int) -> None:
        """Leave so many bytes of it."""
        with contextlib.suppress(OSError):
            os.truncate(self.folder / "pixels.npy", size)


@dataclass(frozen=True)
class Reading(Noted):
    """Reads the data before it answers.

    Args:
        data: to read.
    """

    data: Data = Data(Path())

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        check_seal(self.data.folder)
        return super().__call__(placement, budget, seed)


def _delete(database: Path) -> None:
    database.unlink()


def _replace(database: Path) -> None:
    other = database.with_name("other.db")
    with contextlib.closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE things (name TEXT)")
    os.replace(other, database)


def _empty(database: Path) -> None:
    os.truncate(database, 0)


def _halve(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def _take_log(database: Path) -> None:
    database.with_name(f"{database.name}-wal").unlink()


GOES = {"delete": _delete, "replace": _replace, "empty": _empty, "halve": _halve, "take its log": _take_log}
"""How a database may go."""


def settings_of(space: SearchSpace, trials: int) -> StudySettings:
    """A study of proposals that cost next to nothing."""
    return StudySettings(
        study=STUDY,
        space=space,
        source=DataSource(),
        data_name="[/data] %s",
        classes=("[/x]", "[red]{0}"),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        fingerprint="none",
        budget=Budget(400, 32, 8),
        strategy="random",
        cost="macs",
        seed=0,
        finalists=0.25,
        precision=Precision(),
        recipe=Recipe(),
        devices=("cpu",),
        workers=1,
        trials=trials,
        parallel=PARALLEL,
    )


@dataclass
class Soak:
    """A study under fire.

    Args:
        url: of its storage.
        settings: of the study.
        evaluator: of each process.
        searchers: how many processes search at once.
        random_: decides about faults.
        restart: restarts the database server; None where there is none.
        clock: file by which the clocks of all searchers are set; None leaves these alone.
    """

    url: str
    settings: StudySettings
    evaluator: Reading
    searchers: int
    random_: random.Random
    restart: Callable[[], None] | None = None
    clock: Path | None = None
    living: list[BaseProcess] = field(default_factory=list)
    stopped: dict[int, float] = field(default_factory=dict)
    faults: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ends: Counter[int | None] = field(default_factory=Counter)
    looks: int = 0
    brought_back: int = 0
    most_finished: int = 0

    def __post_init__(self) -> None:
        self._phases = Phases(self.evaluator.notebook)
        self._next_look = 0.0

    def run(self, seconds: float) -> None:
        """Search and disturb for a while, then let the search end in peace."""
        while self._one_at_work() is None:
            pass  # the first ones import everything
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._is_over():
            self._refill()
            self._disturb()
            self._wake()
            self._look()
        self._wake(all_of_them=True)
        while not self._is_over():
            self._refill()
            time.sleep(0.2)
            self._look()
        for process in self.living:
            process.join(60)
            assert not process.is_alive(), "a searcher does not end though the study is over"

    def _refill(self) -> None:
        self.ends.update(process.exitcode for process in self.living if not process.is_alive())
        self.living = [process for process in self.living if process.is_alive()]
        while len(self.living) < self.searchers:
            # Forked from a process that has imported all, but has no connection to a database.
            process = multiprocessing.get_context("forkserver").Process(
                target=search, args=(self.url, self.settings, self.evaluator)
            )
            process.start()
            self.living.append(process)

    def _disturb(self) -> None:
        """One fault, at a process that works."""
        kinds = ["kill", "kill", "kill", "terminate", "stop", "kill all"]
        if self.restart is not None:
            kinds.append("restart")
        if self.clock is not None:
            kinds += ["jump"] * 3
        kinds += ["cut data"] * 2
        kinds += ["database"] * (self.database is not None)
        kind = self.random_.choice(kinds)
        if (target := self._one_at_work()) is None:
            return
        time.sleep(self.random_.uniform(0, 3 * EVALUATION_SECONDS))
        if kind == "database":
            self._lose_database()
        elif kind == "cut data":
            self.faults[kind][self._phases.of(target)] += 1
            self.evaluator.data.cut(self.random_.randrange(65536))
        elif kind == "restart" and self.restart is not None:
            self.faults[kind][self._phases.of(target)] += 1
            self.restart()
        elif kind == "jump" and self.clock is not None:
            self.faults[kind][self._phases.of(target)] += 1
            with self.clock.open("r+b") as file:
                file.write(struct.pack("<q", self.random_.randint(-90_000, 90_000)))
        elif kind == "kill all":
            for pid in self._awake():
                self._send(signal.SIGKILL, pid, kind)
        else:
            self._send(_SIGNALS[kind], target, kind)
        if kind == "stop":
            self.stopped[target] = time.monotonic() + self.random_.uniform(0.5, 3) * PATIENCE_SECONDS

    @property
    def database(self) -> Path | None:
        """The file of the storage; None where that is a server."""
        parsed = sqlalchemy.make_url(self.url)
        return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None

    def _lose_database(self) -> None:
        """The database goes; all who search notice it and write what they know, which is brought back."""
        assert self.database is not None
        self._wake(all_of_them=True)
        if not self._all_at_work():
            return
        searchers = {process.pid for process in self.living}
        name = self.random_.choice(list(GOES))
        written = {key_of(one) for one in Ledger.open(self.url, STUDY).records() if one.state is not State.RUNNING}
        gc.collect()  # our own connections
        with self._all_stopped():
            kept = {file: file.read_bytes() for file in self.database.parent.glob(f"{self.database.name}*")}
            GOES[name](self.database)
        for process in self.living:
            self.faults[f"database: {name}"][self._phases.of(process.pid or 0)] += 1
        for process in self.living:
            process.join(60)
            assert not process.is_alive(), f"a searcher goes on without its database ({name})"
        ended_well = {process.exitcode for process in self.living} == {0}
        if ended_well and self._is_whole():  # what was cut off had been written anew from the log
            self.faults["database: mended by its log"][name] += 1
            return
        for left in self.database.parent.glob(f"{self.database.name}*"):
            left.unlink()
        rescued = sorted(self.database.parent.glob("rescued-*.json"))
        if ended_well:  # all had ended before: nothing was in use
            self.faults["database: after the end"][name] += 1
            for file, content in kept.items():
                file.write_bytes(content)
            assert self._is_complete(), f"nobody has noticed that the database was lost ({name})"
            return
        assert rescued, "nobody has written what was known"
        known = {key_of(one) for file in rescued for one in read_rescued(file).records if one.outcome is not None}
        ended = {key for word, pid, key in self.evaluator.notebook.lines() if word == "end" and pid in searchers}
        assert written & ended <= known, "a trial that a living searcher had written was lost"
        for file in rescued:
            self.brought_back += import_study(file, storage=self.url).n_new
            file.unlink()
        self.most_finished = len(known)

    @contextlib.contextmanager
    def _all_stopped(self) -> Iterator[None]:
        """All searchers stand still, wherever they are."""
        self._send_all(signal.SIGSTOP)
        time.sleep(0.02)
        try:
            yield
        finally:
            self._send_all(signal.SIGCONT)

    def _send_all(self, number: signal.Signals) -> None:
        for process in self.living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid or 0, number)

    def _all_at_work(self) -> bool:
        """Whether nobody is still starting, or dead: such a one knows nothing yet."""
        end = time.monotonic() + _LONGEST_WAIT
        while time.monotonic() < end:
            self._refill()
            if all(self._phases.of(process.pid or 0) in WORKING for process in self.living):
                return True
            time.sleep(0.05)
        return False

    def _awake(self) -> list[int]:
        return [process.pid or 0 for process in self.living if process.pid not in self.stopped]

    def _one_at_work(self) -> int | None:
        """A process that has begun an evaluation just now; None where none does so for a while."""
        end = time.monotonic() + _LONGEST_WAIT
        while time.monotonic() < end:
            self._wake()
            self._refill()
            working = [pid for pid in self._awake() if self._phases.of(pid) == EVALUATING]
            if working:
                return self.random_.choice(working)
            time.sleep(0.01)
        return None

    def _send(self, number: signal.Signals, pid: int, kind: str) -> None:
        """A signal; what its process was doing counts, as soon as it cannot do anything else."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        time.sleep(0.02)
        self.faults[kind][self._phases.of(pid)] += 1

    def _wake(self, *, all_of_them: bool = False) -> None:
        for pid, end in list(self.stopped.items()):
            if all_of_them or time.monotonic() > end:
                del self.stopped[pid]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def _look(self) -> None:
        """Read the study as Optuna and its dashboard do, about once a second."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 1
        try:
            study = optuna.load_study(study_name=STUDY, storage=self.url)
            trials = study.get_trials(deepcopy=False)
        except (sqlalchemy.exc.DBAPIError, optuna.exceptions.StorageInternalError):
            if self.restart is None:
                raise
            return
        self.looks += 1
        assert [trial.number for trial in trials] == list(range(len(trials))), "a number is missing"
        finished = sum(trial.state.is_finished() for trial in trials)
        assert finished >= self.most_finished, "a finished trial was lost"
        self.most_finished = finished
        assert all(len(trial.values) == 2 for trial in trials if trial.state.name == "COMPLETE")

    def _is_over(self) -> bool:
        if self.most_finished < self.settings.trials:
            return False
        return self._is_complete()

    def _is_whole(self) -> bool:
        """Whether the database that is left holds all that was to be found out."""
        try:
            return self._is_complete()
        except NasAttnError:
            return False

    def _is_complete(self) -> bool:
        records = _patient(lambda: Ledger.open(self.url, STUDY).records())
        return len(records) >= self.settings.trials and all(one.state is not State.RUNNING for one in records)


def check(soak: Soak, expected: Sequence[TrialRecord]) -> dict[str, object]:
    """The rules that hold whatever happened.

    Raises:
        AssertionError: one is broken.
    """
    records = Ledger.open(soak.url, STUDY).records()
    assert essence(records) == essence(expected), "the trials are not those of an undisturbed search"
    assert 1 not in soak.ends, "a searcher has ended in a traceback"
    keys = {key_of(one) for one in records}
    assert len(keys) == len(records), "an evaluation is recorded twice"
    lines = soak.evaluator.notebook.lines()
    begun, ended = ([key for word, _, key in lines if word == wanted] for wanted in ("begin", "end"))
    assert set(ended) == keys, "an evaluation was lost, or nobody asked for it"
    return {
        "trials": len(records),
        "searchers at once": soak.searchers,
        "searchers in all": len({process for _, process, _ in lines}),
        "faults": {kind: dict(phases) for kind, phases in soak.faults.items()},
        "faults in all": sum(sum(phases.values()) for phases in soak.faults.values()),
        "of these at work": sum(phases[at] for phases in soak.faults.values() for at in WORKING),
        "evaluations begun again": len(begun) - len(keys),
        "evaluations ended twice": len(ended) - len(keys),
        "looks by Optuna": soak.looks,
        "trials brought back": soak.brought_back,
        "exit codes": {str(code): number for code, number in soak.ends.items()},
    }


def key_of(record: TrialRecord) -> str:
    """As ``Noted`` notes an evaluation."""
    return f"{record.placement.id} {record.budget.steps} {record.seed}"


def essence(records: Sequence[TrialRecord]) -> list[tuple[object, ...]]:
    """All of a trial but its worker."""
    return [
        (one.number, one.placement, one.budget, one.seed, one.role, one.state, one.outcome and one.outcome.score)
        for one in records
    ]


def undisturbed(settings: StudySettings, evaluator: LookupEvaluator) -> tuple[TrialRecord, ...]:
    """The study as one process finds it in memory."""
    study = optuna.create_study(directions=["maximize", "minimize"], study_name=STUDY)
    ledger = Ledger(study, "memory")
    return run_trials(settings, ledger, _agenda(settings), InlinePool(evaluator), lambda _: None)


def begin(url: str, settings: StudySettings) -> None:
    """An empty study."""
    identity = json.loads(json.dumps(settings.identity()))
    ledger = Ledger.create(url, STUDY, identity, settings.context(), settings.cost)
    ledger.write_plan(Plan(settings.trials, settings.parallel))


def search(url: str, settings: StudySettings, evaluator: Reading) -> None:
    """The life of a searcher, who logs to a disk that is full, and ends where its database is lost."""
    hasten()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), _lost_is(LOST), logging_to(FULL_DISK, "info"):
        ledger = _patient(lambda: Ledger.open(url, STUDY))
        agenda = _agenda(settings)
        study = Rescued(STUDY, ledger.identity, ledger.context, ledger.plan, ())

        def rescue(records: Sequence[TrialRecord]) -> str:
            return str(write_rescued(replace(study, records=tuple(records)), Path.cwd()))

        pool = InlinePool(evaluator, mend=evaluator.data.mend)
        evaluator.notebook.note("ready")
        run_trials(settings, ledger, agenda, pool, evaluator.listen, rescue)


@contextlib.contextmanager
def _lost_is(status: int) -> Iterator[None]:
    """End the process with this status where the database is lost."""
    try:
        yield
    except LostStorageError:
        sys.exit(status)


def hasten() -> None:
    """Everything that a search waits for comes sooner."""
    claims.BEAT_SECONDS, claims.PATIENCE_SECONDS = BEAT_SECONDS, PATIENCE_SECONDS
    loop._LOOK_SECONDS = 0.5
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def jumping(folder: Path) -> Path:
    """The file that sets the clocks of all processes that are started from now on; what measures time goes on."""
    path, library = folder / "clock", folder / "jumping_clock.so"
    path.write_bytes(bytes(8))
    source = Path(__file__).with_name("jumping_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    os.environ |= {"LD_PRELOAD": str(library), "CLOCK_FILE": str(path)}
    return path


def _agenda(settings: StudySettings) -> Agenda:
    return Agenda(settings, COSTS)


def _patient(act: Callable[[], object]) -> object:
    """Opening a study is not patient by itself; a server may be away just then."""
    for _ in range(100):
        try:
            return act()
        except Exception as error:
            last = error
            time.sleep(0.2)
    raise last


def main() -> int:
    """Soak; the exit status is 0 where all rules held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="of disturbance")
    parser.add_argument("--trials", type=int, default=0, help="of the study [8 a second]")
    parser.add_argument("--searchers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clock", action="store_true", help="clocks jump by hours; needs a C compiler")
    parser.add_argument("--server", choices=("postgresql", "mariadb"), help="instead of SQLite")
    arguments = parser.parse_args()
    hasten()
    multiprocessing.set_forkserver_preload(["nas_attn.api", "warm"])
    settings = settings_of(SPACE, arguments.trials or round(8 * arguments.seconds))
    expected = undisturbed(settings, LookupEvaluator(SPACE))
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        place = Path(folder, FOLDER)
        place.mkdir(parents=True)
        url, restart = sqlite_url(place / "study.db"), None
        stack.callback(os.chdir, Path.cwd())
        os.chdir(place)
        clock = jumping(Path(folder)) if arguments.clock else None
        if arguments.server:
            import servers

            binaries = servers.postgresql_binaries()
            server = servers.PostgreSQL(binaries) if arguments.server == "postgresql" else servers.MariaDB()
            stack.callback(server.remove)

            def restart() -> None:
                server.kill()
                server.start()

            url = server.url
        looked_up = LookupEvaluator(SPACE, seconds=EVALUATION_SECONDS)
        data = Data(Path(folder) / "data")
        data.mend()
        evaluator = Reading(looked_up, Notebook(Path(folder) / "notes"), data)
        soak = Soak(url, settings, evaluator, arguments.searchers, random.Random(arguments.seed), restart, clock)
        begin(url, settings)
        started = time.monotonic()
        soak.run(arguments.seconds)
        figures = check(soak, expected)
        figures["seconds"] = round(time.monotonic() - started, 1)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
