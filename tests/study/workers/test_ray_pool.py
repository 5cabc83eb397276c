"""Workers of Ray on a cluster of several nodes, on this machine."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nas_attn.budget import Budget
from nas_attn.errors import MissingPackageError, StudyError
from nas_attn.models.placement import Placement
from nas_attn.record import Failure, Outcome, Role
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation
from nas_attn.study.loop import run_trials
from nas_attn.study.workers.pool import Finished, InlinePool
from nas_attn.study.workers.ray_pool import RayPool, check_ray
from nas_attn.study.workers.worker_process import WorkerLog
from nas_attn.training.evaluation import LookupEvaluator

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of many kinds


def evaluations(space: SearchSpace) -> list[Evaluation]:
    return [Evaluation(one, Budget(100, 32, 8), 0, Role.PROPOSAL) for one in list(space.placements())[:4]]


def all_finished(pool: RayPool, number: int) -> list[Finished]:
    done: list[Finished] = []
    while len(done) < number:
        done += pool.wait(5)
    return done


@pytest.fixture(scope="class")
def cluster() -> Iterator[Any]:
    """Two nodes with one core each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    room = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
    made = Cluster(initialize_head=True, head_node_args={**room, "include_dashboard": False})
    made.add_node(**room)
    yield made
    made.shutdown()


@dataclass(frozen=True)
class WithNode:
    """Writes down which node it is asked on, and dies as often as it is told to.

    Args:
        evaluator: asked.
        notes: folder of notes.
        deaths: how often to die.
    """

    evaluator: LookupEvaluator
    notes: Path
    deaths: int = 0

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        import ray

        (self.notes / ray.get_runtime_context().get_node_id()).touch()
        died = len(list(self.notes.glob("death-*")))
        if died < self.deaths:
            (self.notes / f"death-{died}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.evaluator(placement, budget, seed)


@pytest.mark.slow
class TestOnACluster:
    """One cluster for all."""

    def test_workers_on_all_nodes_give_what_the_evaluator_gives(
        self, cluster: Any, space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path
    ) -> None:
        before = signal.getsignal(signal.SIGTERM)
        todo = evaluations(space)
        (tmp_path / "nodes").mkdir()
        logs = [WorkerLog(tmp_path / "logs" / f"worker-{index}.log", "info") for index in (0, 1)]
        asked = WithNode(evaluator, tmp_path / "nodes")
        with RayPool([asked] * 2, logs, address=cluster.address) as pool:
            assert signal.getsignal(signal.SIGTERM) is before
            for number in (0, 1):
                pool.submit(number, todo[number])
            done = {one.number: one for one in all_finished(pool, 2)}

        for number in (0, 1):
            one = todo[number]
            assert done[number].answer == evaluator(one.placement, one.budget, one.seed)
        assert len(list((tmp_path / "nodes").iterdir())) == 2, "both nodes"
        for index in (0, 1):
            logged = logs[index].path.read_text(encoding="utf-8")
            assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO +worker \d+ started on ", logged, re.M)
            assert len(re.findall(r"Z INFO +trial [01]: IoU 0\.\d{4} in ", logged)) == 1

    def test_an_evaluation_whose_worker_is_killed_is_done_by_another(
        self, cluster: Any, space: SearchSpace, evaluator: LookupEvaluator, tmp_path: Path
    ) -> None:
        one = evaluations(space)[1]
        with RayPool([WithNode(evaluator, tmp_path, deaths=2)], address=cluster.address) as pool:
            pool.submit(7, one)
            (finished,) = all_finished(pool, 1)

        assert finished.answer == evaluator(one.placement, one.budget, one.seed)
        assert len(list(tmp_path.glob("death-*"))) == 2

    def test_a_study_is_the_one_of_one_process(
        self, cluster: Any, studies: Any, evaluator: LookupEvaluator
    ) -> None:
        studies.change(trials=20, parallel=2)

        def essence(pool: Any) -> list[object]:
            studies.forget()
            found = run_trials(studies.settings, studies.ledger(), studies.agenda(), pool, lambda _: None)
            return [
                (one.number, one.placement, one.seed, one.budget, one.outcome and one.outcome.score)
                for one in found
            ]

        with RayPool([evaluator] * 2, address=cluster.address) as pool:
            on_ray = essence(pool)
        assert on_ray == essence(InlinePool(evaluator, size=2))

    def test_other_data_on_a_node_end_the_search(
        self, cluster: Any, space: SearchSpace, evaluator: LookupEvaluator
    ) -> None:
        with RayPool([WithData(evaluator)], address=cluster.address, fingerprint="ours") as pool:
            pool.submit(0, evaluations(space)[0])
            with pytest.raises(StudyError, match="other data than the study's: theirs for ours"):
                all_finished(pool, 1)

    def test_what_fails_is_a_reason(self, cluster: Any, space: SearchSpace, evaluator: LookupEvaluator) -> None:
        with RayPool([replace(evaluator, failure_share=1.0)], address=cluster.address) as pool:
            pool.submit(3, evaluations(space)[3])
            (finished,) = all_finished(pool, 1)
        assert isinstance(finished.answer, Failure)
        assert "became nan" in finished.answer.reason


class WithData:
    """Has a data set of its own."""

    def __init__(self, evaluator: LookupEvaluator) -> None:
        self.evaluator = evaluator
        self.dataset = Named("theirs")

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        return self.evaluator(placement, budget, seed)


@dataclass(frozen=True)
class Named:
    """As much of a data set as is asked for."""

    fingerprint: str


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_named(evaluator: LookupEvaluator) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    with pytest.raises(StudyError, match=r"--address auto: no Ray cluster can be reached.*'ray start --head'"):
        RayPool([evaluator], address="auto")


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingPackageError, match=r"Ray is not installed; pip install 'nas-attn\[ray\]'"):
        check_ray()
