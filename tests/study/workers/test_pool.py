"""Worker processes: they answer, fail with a reason, and end with their parent."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_attn.budget import Budget
from nas_attn.errors import MachineError, StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, Role
from nas_attn.space import SearchSpace
from nas_attn.steps import STEPS, StepCount
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.workers import process_pool
from nas_attn.study.workers.attempt import attempt
from nas_attn.study.workers.pool import Finished, Task, take_turn
from nas_attn.study.workers.process_pool import ProcessPool
from nas_attn.study.workers.worker_process import WorkerLog, work
from nas_attn.training.evaluation import LookupEvaluator


def evaluations(space: SearchSpace) -> list[Evaluation]:
    return [Evaluation(one, Budget(100, 32, 8), 0, Role.PROPOSAL) for one in list(space.placements())[:4]]


@dataclass(frozen=True)
class Various:
    """Prints as libraries in C do, below Python's streams; then the seed decides.

    Args:
        evaluator: answers.
        hopeless: answers where the seed is 1.
        bell: a file for which it waits where the seed is 2.
    """

    evaluator: LookupEvaluator
    hopeless: LookupEvaluator
    bell: Path

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        os.write(2, b"printed by a library\n")
        while seed == 2 and not self.bell.exists():
            time.sleep(0.01)
        return (self.hopeless if seed == 1 else self.evaluator)(placement, budget, seed)


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[WorkerLog]:
    folder = tmp_path_factory.mktemp("pool") / "logs"
    return [WorkerLog(folder / f"worker-{index}.log", "info") for index in range(2)]


@pytest.fixture(scope="module")
def bell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bell") / "rings"


@pytest.fixture(scope="module")
def pool(
    space: SearchSpace, evaluator: LookupEvaluator, logs: list[WorkerLog], bell: Path
) -> Iterator[ProcessPool]:
    """Two workers, which live through all tests that do them no harm."""
    various = Various(evaluator, replace(evaluator, failure_share=1.0), bell)
    with ProcessPool([various, various], logs) as started:
        yield started


def test_processes_give_what_the_evaluator_gives(
    pool: ProcessPool, space: SearchSpace, evaluator: LookupEvaluator
) -> None:
    todo = evaluations(space)[:2]
    for number, one in enumerate(todo):
        pool.submit(number, one)
    done = {finished.number: finished for finished in all_finished(pool, 2)}

    for number, one in enumerate(todo):
        assert done[number].answer == evaluator(one.placement, one.budget, one.seed)
    assert done[0].worker != done[1].worker


def test_a_failure_comes_back_as_its_reason(pool: ProcessPool, space: SearchSpace) -> None:
    pool.submit(7, replace(evaluations(space)[3], seed=1))
    (finished,) = all_finished(pool, 1)

    assert finished.number == 7
    assert isinstance(finished.answer, Failure)
    assert "became nan" in finished.answer.reason


def test_waiting_ends_after_its_time(pool: ProcessPool, space: SearchSpace, bell: Path) -> None:
    """And no sooner; that it ends at all, the test's own time limit sees."""
    pool.submit(5, replace(evaluations(space)[0], seed=2))
    started = time.monotonic()
    assert pool.wait(0.5) == []
    assert time.monotonic() - started >= 0.5
    bell.touch()
    assert [finished.number for finished in all_finished(pool, 1)] == [5]


def test_workers_log_what_they_do(pool: ProcessPool, space: SearchSpace, logs: list[WorkerLog]) -> None:
    """What libraries print goes to the log too, and not to the terminal."""
    one = evaluations(space)[3]
    pool.submit(17, one)
    pool.submit(18, replace(one, seed=1))
    all_finished(pool, 2)

    first, second = (worker_log.path.read_text(encoding="utf-8") for worker_log in logs)
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO +trial 17: [0-9a-f]+, seed 0, 100 steps", first, re.M)
    assert re.search(r"Z INFO +trial 17: IoU 0\.\d{4} in 0\.0 s", first)
    assert "printed by a library" in first
    assert re.search(r"Z WARNING trial 18: the loss of placement [0-9a-f]+ became nan", second)


def all_finished(pool: ProcessPool, number: int) -> list[Finished]:
    done: list[Finished] = []
    while len(done) < number:
        done += pool.wait()
    return done


@dataclass(frozen=True)
class Deadly:
    """Ends its process, by a signal or an exit status, as long as a folder holds fewer than ``lives`` notes of it.

    Args:
        evaluator: asked after that.
        notes: the folder.
        number: of the signal; of the exit status where it is below 0.
        lives: how often to die.
    """

    evaluator: LookupEvaluator
    notes: Path
    number: int
    lives: int

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        died = len(list(self.notes.iterdir()))
        if died < self.lives:
            (self.notes / str(died)).touch()
            if self.number < 0:
                os._exit(-self.number)
            os.kill(os.getpid(), self.number)
            time.sleep(60)
        return self.evaluator(placement, budget, seed)


@pytest.mark.parametrize(
    ("number", "lives"),
    [
        pytest.param(signal.SIGKILL, 2, id="killed twice"),
        pytest.param(signal.SIGTERM, 1, id="terminated", marks=pytest.mark.slow),
        pytest.param(signal.SIGSEGV, 1, id="crashed once", marks=pytest.mark.slow),
        pytest.param(-3, 1, id="left once", marks=pytest.mark.slow),
    ],
)
def test_an_evaluation_whose_worker_dies_is_done_by_another(
    space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path, number: int, lives: int
) -> None:
    one = evaluations(space)[1]
    with ProcessPool([Deadly(evaluator, tmp_path, number, lives)]) as pool:
        pool.submit(5, one)
        (finished,) = all_finished(pool, 1)

    assert finished.answer == evaluator(one.placement, one.budget, one.seed)
    assert len(list(tmp_path.iterdir())) == lives


@pytest.mark.parametrize(
    ("number", "how"),
    [
        pytest.param(signal.SIGSEGV, r"signal 11 \(SIGSEGV\)", id="crash"),
        pytest.param(-3, "exit status 3", id="exit", marks=pytest.mark.slow),
    ],
)
def test_an_evaluation_that_crashes_its_worker_alone_too_is_given_up(
    space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path, number: int, how: str
) -> None:
    first, second = evaluations(space)[:2]
    with ProcessPool([Deadly(evaluator, tmp_path, number, lives=3)]) as pool:
        pool.submit(5, first)
        (given_up,) = all_finished(pool, 1)
        pool.submit(6, second)
        (finished,) = all_finished(pool, 1)

    assert given_up.number == 5
    assert isinstance(given_up.answer, Failure)
    told = "its worker ended 3 times, the last time, when it ran alone, by "
    assert re.fullmatch(told + how, given_up.answer.reason)
    assert finished.answer == evaluator(second.placement, second.budget, second.seed)


@dataclass(frozen=True)
class Starved:
    """Crashes where the seed is 1 as long as another evaluation runs at the same time, as when memory is short.

    Args:
        evaluator: answers.
        running: folder with a file for each evaluation that runs.
    """

    evaluator: LookupEvaluator
    running: Path

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        mine = self.running / str(os.getpid())
        mine.touch()
        end = time.monotonic() + 1
        while seed == 1 and time.monotonic() < end:
            if len(list(self.running.iterdir())) > 1:
                mine.unlink()
                os.kill(os.getpid(), signal.SIGSEGV)
            time.sleep(0.01)
        outcome = self.evaluator(placement, budget, seed)
        mine.unlink()
        return outcome


def test_what_crashes_only_beside_others_is_repeated_alone_and_kept(
    space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path
) -> None:
    """Its neighbours go on for as long as they are asked to, but for the time that it takes to run it alone."""
    first, second = evaluations(space)[:2]
    with ProcessPool([Starved(replace(evaluator, seconds=0.3), tmp_path)] * 2) as pool:
        pool.submit(0, replace(first, seed=1))
        number, finished = 1, {}
        while 0 not in finished and number < 200:
            while number - len(finished) < 2:
                pool.submit(number, second)
                number += 1
            finished |= {one.number: one for one in pool.wait()}

    assert finished[0].answer == replace(evaluator, seconds=0.3)(first.placement, first.budget, 1)
    assert all(isinstance(one.answer, Outcome) for one in finished.values())


@dataclass(frozen=True)
class Faulty:
    """Raises an error as long as a file is there.

    Args:
        evaluator: answers.
        fault: the file; what is in it is the error's text.
        error: its class.
    """

    evaluator: LookupEvaluator
    fault: Path
    error: type[Exception]

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        if self.fault.exists():
            raise self.error(self.fault.read_text(encoding="utf-8"))
        return self.evaluator(placement, budget, seed)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(OSError, "Input/output error", id="disk"),
        pytest.param(MachineError, "the decoded images are damaged", id="data", marks=pytest.mark.slow),
        pytest.param(
            ImportError, "libcudart.so.13: cannot open shared object file", id="software", marks=pytest.mark.slow
        ),
        pytest.param(RuntimeError, "No CUDA GPUs are available", id="device"),
    ],
)
def test_what_fails_for_the_machine_is_mended_and_begun_again_and_the_second_time_the_search_stops(
    space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path, error: type[Exception], text: str
) -> None:
    fault, one = tmp_path / "fault", evaluations(space)[1]
    fault.write_text(text, encoding="utf-8")
    mended: list[int] = []

    def mend() -> None:
        mended.append(1)
        if len(mended) == 1:
            fault.unlink()

    with ProcessPool([Faulty(evaluator, fault, error)], mend=mend) as pool:
        pool.submit(5, one)
        (finished,) = all_finished(pool, 1)
        assert finished.answer == evaluator(one.placement, one.budget, one.seed)
        assert mended == [1]

        fault.write_text(text, encoding="utf-8")
        pool.submit(6, one)
        with pytest.raises(StudyError, match=f"trial 6 has failed 2 times because of the.*{text}"):
            all_finished(pool, 1)


def test_a_fault_that_many_workers_meet_at_once_is_one_fault(
    space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path
) -> None:
    fault, todo = tmp_path / "fault", evaluations(space)[:2]
    fault.write_text("pixels.npy was cut short", encoding="utf-8")
    slow = Faulty(evaluator, fault, MachineError)
    with ProcessPool([slow, slow], mend=lambda: fault.unlink(missing_ok=True)) as pool:
        for number, one in enumerate(todo):
            pool.submit(number, one)
        assert all(isinstance(finished.answer, Outcome) for finished in all_finished(pool, 2))


def test_a_kernel_that_fails_ends_its_worker_and_only_alone_too_its_evaluation(
    space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path
) -> None:
    """After such an error all that a process asks of its device fails: others must not meet it."""
    fault, (one, other) = tmp_path / "fault", evaluations(space)[:2]
    fault.write_text("CUDA error: an illegal memory access was encountered", encoding="utf-8")
    with ProcessPool([Faulty(evaluator, fault, RuntimeError)]) as pool:
        workers = {pool._workers[0].process.pid}
        pool.submit(5, one)
        while not (finished := pool.wait(0.05)):
            workers.add(pool._workers[0].process.pid)
        fault.unlink()
        pool.submit(6, other)
        (next_,) = all_finished(pool, 1)

    assert len(workers) >= 3
    assert isinstance(finished[0].answer, Failure)
    assert finished[0].answer.cause is None
    assert "ended 3 times, the last time, when it ran alone, by RuntimeError: CUDA error" in (
        finished[0].answer.reason
    )
    assert isinstance(next_.answer, Outcome)


class Unimportable:
    """Needs a package that is not there."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return __import__, ("a_package_that_was_taken_away",)


def test_a_worker_that_cannot_import_what_it_needs_ends_the_search_and_no_trial(space: SearchSpace) -> None:
    with ProcessPool([Unimportable()]) as pool:  # type: ignore[list-item]
        pool.submit(5, evaluations(space)[1])
        with pytest.raises(StudyError, match=r"because of the software here.*a_package_that_was_taken_away"):
            all_finished(pool, 1)


@pytest.mark.slow
def test_an_idle_worker_that_was_killed_is_replaced(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    one = evaluations(space)[1]
    with ProcessPool([evaluator]) as pool:
        process = pool._workers[0].process
        process.kill()
        process.join()
        pool.submit(5, one)
        (finished,) = all_finished(pool, 1)

    assert finished.answer == evaluator(one.placement, one.budget, one.seed)


def test_a_worker_that_hangs_is_replaced(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    """It is stopped like a process that waits for a disk or a driver for ever.

    However long a worker takes to import PyTorch, it gives signs of life meanwhile; only what it loads at one
    stroke must be done within the patience.
    """
    one = evaluations(space)[1]
    slow = replace(evaluator, seconds=2)
    with ProcessPool([slow], sign_seconds=0.2, patience=6) as pool:
        pool.submit(4, one)
        all_finished(pool, 1)
        pool.submit(5, one)
        stopped = pool._workers[0].process
        os.kill(stopped.pid or 0, signal.SIGSTOP)
        (finished,) = all_finished(pool, 1)

    assert isinstance(finished.answer, Outcome)
    assert finished.worker != f"{platform.node()}:{stopped.pid}"
    assert stopped.exitcode == -signal.SIGKILL


class Unloadable:
    """Whoever loads it is not done for as long as the tests take."""

    def __reduce__(self) -> tuple[Callable[[float], object], tuple[float]]:
        return time.sleep, (1000.0,)


def test_a_worker_gives_signs_of_life_before_it_has_started() -> None:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, None, 0.2), daemon=True)
    process.start()
    ours.send(Unloadable())
    try:
        assert ours.poll(100)
        assert ours.recv() == StepCount()
    finally:
        process.kill()
        process.join()
        ours.close()
        theirs.close()


@dataclass(frozen=True)
class Stuck:
    """Never comes back from a call into a library, while other threads of its process go on."""

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        stuck_below_python()
        raise AssertionError("the call has returned")


def stuck_below_python() -> None:
    """Wait in C for a lock that nobody gives back; ctypes releases Python's own lock meanwhile."""
    mutex = ctypes.create_string_buffer(128)
    library = ctypes.CDLL(None)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def test_an_evaluation_that_hangs_alone_too_is_given_up(space: SearchSpace) -> None:
    with ProcessPool([Stuck()], sign_seconds=0.2, patience=6) as pool:
        pool.submit(5, evaluations(space)[1])
        (finished,) = all_finished(pool, 1)

    assert finished.answer == Failure(
        "its worker ended 3 times, the last time, when it ran alone, by no sign of life for 6 s"
    )


@pytest.mark.slow
def test_a_slow_evaluation_is_no_hanging_one(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    slow = replace(evaluator, seconds=9)
    with ProcessPool([slow], sign_seconds=0.2, patience=6) as pool:
        pool.submit(5, evaluations(space)[1])
        first = pool._workers[0].process.pid
        (finished,) = all_finished(pool, 1)

    assert isinstance(finished.answer, Outcome)
    assert finished.worker == f"{platform.node()}:{first}"


def test_workers_that_cannot_live_end_the_search(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_pool, "_DEATHS_IN_A_ROW", 2)
    with ProcessPool([Unborn()]) as pool:
        pool.submit(5, evaluations(space)[1])
        with pytest.raises(StudyError, match=r"3 workers have ended without finishing a trial.*exit status 1"):
            all_finished(pool, 3)


class Unborn:
    """Ends the worker that loads it."""

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        raise AssertionError

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (1,)


def test_an_allocation_that_cannot_be_had_is_named_with_its_size(space: SearchSpace) -> None:
    def greedy(placement: Placement, budget: Budget, seed: int) -> Outcome:
        torch.empty(2**50, dtype=torch.uint8)
        raise AssertionError("there is no such machine")

    answer = attempt(greedy, evaluations(space)[0])

    assert isinstance(answer, Failure)
    assert answer.reason.startswith("out of memory: ")
    assert str(2**50) in answer.reason
    assert answer.shortage is not None
    assert (answer.shortage.needed_mib or 0) > 2**30


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_out_of_memory_on_a_gpu_is_a_reason_and_leaves_room(space: SearchSpace) -> None:
    """The allocator itself says no; what was held counts, and so does what was asked for."""

    class Greedy:
        device = "cuda"

        def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
            held = torch.empty(2**28, dtype=torch.uint8, device="cuda")
            torch.empty(2**40, dtype=torch.uint8, device="cuda")
            raise AssertionError(f"there is no such GPU, beside {held}")

    before = torch.cuda.memory_allocated()
    answer = attempt(Greedy(), evaluations(space)[0])

    assert isinstance(answer, Failure)
    assert "CUDA out of memory. Tried to allocate" in answer.reason
    assert answer.shortage is not None
    assert answer.shortage.device.startswith("cuda: ")
    assert answer.shortage.needed_mib == pytest.approx(2**20 + 256 + before / 2**20)
    assert answer.shortage.capacity_mib == torch.cuda.get_device_properties(0).total_memory / 2**20
    assert torch.cuda.memory_allocated() == before


@pytest.mark.slow
def test_a_log_that_cannot_be_written_ends_no_worker(space: SearchSpace, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    with ProcessPool([LookupEvaluator(space)], [WorkerLog(tmp_path / "logs" / "worker-0.log", "debug")]) as pool:
        pool.submit(5, evaluations(space)[0])
        (finished,) = all_finished(pool, 1)

    assert isinstance(finished.answer, Outcome)


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal
            from nas_attn.study.workers.process_pool import ProcessPool

            if __name__ == "__main__":
                pool = ProcessPool([print])
                print(pool._workers[0].process.pid, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            """
        ),
        encoding="utf-8",
    )
    root = str(Path(__file__).parents[3])
    output = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    ).stdout
    pid = int(output)
    for _ in range(600):
        if not alive(pid):
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent by a minute")


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").split()[2] != "Z"
    except OSError:
        return False


@dataclass(frozen=True)
class Counting:
    """Counts twenty steps as a training does, then answers.

    Args:
        evaluator: answers.
    """

    evaluator: LookupEvaluator

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        STEPS.total = 20
        for taken in range(20):
            STEPS.taken = taken
            time.sleep(0.05)
        return self.evaluator(placement, budget, seed)


def test_the_steps_of_a_training_are_told_while_it_lasts(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    told: list[tuple[int, int, int]] = []

    def follow(number: int, steps: StepCount) -> None:
        told.append((number, steps.taken, steps.total))

    with ProcessPool([Counting(evaluator)], sign_seconds=0.1, follow=follow) as pool:
        pool.submit(7, evaluations(space)[0])
        all_finished(pool, 1)
    assert {(number, total) for number, _, total in told if total} == {(7, 20)}
    taken = [taken for _, taken, total in told if total]
    assert taken == sorted(taken)
    assert len(set(taken)) > 2


def task(number: int, alone: bool = False) -> Task:
    return Task(number, Evaluation(Placement(()), Budget(1, 8, 1), 0, Role.PROPOSAL), alone=alone)


@given(st.lists(st.booleans(), min_size=1, max_size=8), st.integers(1, 4), st.randoms(use_true_random=False))
def test_all_get_their_turn_and_the_lonely_ones_run_alone(lonely: list[bool], workers: int, random_) -> None:  # type: ignore[no-untyped-def]
    waiting, running, done = [task(number, alone) for number, alone in enumerate(lonely)], [], []
    while len(done) < len(lonely):
        while len(running) < workers and (one := take_turn(waiting, running)):
            running.append(one)
        assert running, "nobody runs though some wait"
        assert len(running) == 1 or not any(one.alone for one in running)
        done.append(running.pop(random_.randrange(len(running))))

    assert sorted(one.number for one in done) == list(range(len(lonely)))
    assert not waiting


def test_while_one_waits_to_run_alone_no_other_begins() -> None:
    waiting = [task(1), task(2, alone=True)]

    assert take_turn(waiting, [task(0)]) is None
    assert getattr(take_turn(waiting, []), "number", None) == 2
    assert take_turn(waiting, [task(2, alone=True)]) is None
    assert getattr(take_turn(waiting, []), "number", None) == 1


@pytest.mark.parametrize("running", [0, 1])
def test_where_nobody_waits_nobody_begins(running: int) -> None:
    assert take_turn([], [task(0)] * running) is None
