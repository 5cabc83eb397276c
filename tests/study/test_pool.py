"""Worker processes: they answer, fail with a reason, and end with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from nas_attn.budget import Budget
from nas_attn.errors import StudyError
from nas_attn.evaluate import LookupEvaluator
from nas_attn.record import Role
from nas_attn.space import SearchSpace
from nas_attn.study.evaluation import Evaluation
from nas_attn.study.pool import ProcessPool


def evaluations(space: SearchSpace) -> list[Evaluation]:
    return [Evaluation(one, Budget(100, 32, 8), 0, Role.PROPOSAL) for one in list(space.placements())[:4]]


def test_processes_give_what_the_evaluator_gives(space: SearchSpace, evaluator: LookupEvaluator) -> None:
    todo = evaluations(space)
    done = {}
    with ProcessPool([evaluator, evaluator]) as pool:
        for number, one in enumerate(todo[:2]):
            pool.submit(number, one)
        while len(done) < 2:
            done |= {finished.number: finished for finished in pool.wait()}

    for number, one in enumerate(todo[:2]):
        assert done[number].outcome == evaluator(one.placement, one.budget, one.seed)
    assert done[0].worker != done[1].worker


def test_a_failure_comes_back_as_its_reason(space: SearchSpace) -> None:
    hopeless = LookupEvaluator(space, failure_share=1.0)
    with ProcessPool([hopeless]) as pool:
        pool.submit(7, evaluations(space)[3])
        (finished,) = pool.wait()

    assert finished.number == 7
    assert finished.outcome is None
    assert "became nan" in (finished.failure or "")


def test_a_killed_worker_is_reported_with_its_trial(space: SearchSpace) -> None:
    slow = LookupEvaluator(space, seconds=30)
    with ProcessPool([slow]) as pool:
        pool.submit(5, evaluations(space)[0])
        os.kill(pool._processes[0].pid or 0, signal.SIGKILL)
        with pytest.raises(StudyError, match=r"ended by signal 9 in trial 5.*the same command goes on"):
            pool.wait()


def test_workers_end_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, signal
            from nas_attn.attention import catalogue
            from nas_attn.evaluate import LookupEvaluator
            from nas_attn.space import read_space
            from nas_attn.study.pool import ProcessPool

            if __name__ == "__main__":
                space = read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)
                pool = ProcessPool([LookupEvaluator(space)])
                print(pool._processes[0].pid, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            """
        ),
        encoding="utf-8",
    )
    root = str(Path(__file__).parents[2])
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
