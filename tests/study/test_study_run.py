"""A whole study: continued or refused, written down, exported."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch

import nas_attn
from nas_attn.architecture import best, read_architecture
from nas_attn.budget import Budget
from nas_attn.config.settings import StudyRequest
from nas_attn.errors import DivergedError, StudyError
from nas_attn.models.build import build_unet
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import Outcome, State, TrialRecord, n_ended
from nas_attn.study.run import StudyResult, run_study, trials_so_far
from nas_attn.study.setup import preset as presets
from nas_attn.study.setup.find import open_study
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.preset import CPU_SYNTHETIC
from nas_attn.study.setup.request import request_from
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.setup.study_file import read_study_file, write_settings
from nas_attn.study.workers.pool import InlinePool
from nas_attn.training import initialise
from nas_attn.training.evaluation import LookupEvaluator
from nas_attn.training.metrics import count_macs, count_parameters

ASK = StudyRequest(
    study="s",
    space="unet_attention_small",
    device="cpu",
    workers=1,
    trials=12,
    image_size=16,
    base_channels=4,
    steps=200,
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def listener(records: Sequence[TrialRecord]) -> None:
    """Does not care."""


def searched(resolved: Resolved, evaluator: Callable[..., Outcome] | None = None, *, size: int = 1) -> StudyResult:
    pool = InlinePool(evaluator or LookupEvaluator(resolved.settings.space), size=size)
    return run_study(resolved, listener, pool=nullcontext(pool))


def never(placement: Placement, budget: Budget, seed: int) -> Outcome:
    raise AssertionError("nothing is left to evaluate")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyResult]:
    """A finished study and the folder that it lies in; ``result`` gives each test a copy."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "CPU_SYNTHETIC", replace(CPU_SYNTHETIC, n_train=4, n_val=2))
        patch.chdir(folder)
        return folder, searched(resolve(ASK))


@pytest.fixture
def result(made: tuple[Path, StudyResult], here: Path) -> StudyResult:
    folder, found = made
    shutil.copytree(folder / "studies", here / "studies")
    return found


def test_a_study_has_its_trials_ranking_and_files(result: StudyResult) -> None:
    assert [record.number for record in result.records] == list(range(12))
    assert all(record.state is State.COMPLETE for record in result.records)
    assert result.ranking.plain is not None
    assert result.best == Path("studies/s/best.yaml")
    assert {path.name for path in Path("studies/s").iterdir()} >= {
        "study.db",
        "study.yaml",
        "space.yaml",
        "best.yaml",
    }


def test_a_finished_study_repeats_nothing(result: StudyResult) -> None:
    again = searched(resolve(ASK), never)

    assert again.records == result.records
    assert n_ended(trials_so_far(resolve(ASK))) == 12


def test_fewer_trials_than_there_are_leave_them_all(result: StudyResult) -> None:
    assert searched(resolve(replace(ASK, trials=3)), never).records == result.records


def test_a_study_grows(result: StudyResult) -> None:
    grown = searched(resolve(replace(ASK, trials=15)))

    assert grown.records[:12] == result.records
    assert len(grown.records) == 15


def test_no_study_has_no_trials(here: Path) -> None:
    assert n_ended(trials_so_far(resolve(ASK))) == 0
    assert not (here / "studies").exists(), "looking makes nothing"


def test_other_settings_are_refused_with_each_difference(result: StudyResult) -> None:
    other = replace(ASK, seed=1, steps=77, strategy="random", cost="parameters", finalists=0.5, base_channels=8)
    with pytest.raises(StudyError) as caught:
        searched(resolve(other), never)

    *differences, mend = caught.value.problems
    assert differences == [
        "study 's': space.network.base_channels was 4 and is now 8; give --base-channels 4",
        "study 's': budget.steps was 200 and is now 77; give --steps 200",
        "study 's': strategy was additive and is now random; give --strategy additive",
        "study 's': cost was macs and is now parameters; give --cost macs",
        "study 's': seed was 0 and is now 1; give --seed 0",
        "study 's': finalists was 0.25 and is now 0.5; give --finalists 0.25",
    ]
    assert mend.endswith("repeat them, or start another with --study NAME or --as-new")


def test_a_refusal_changes_no_file(result: StudyResult) -> None:
    before = {path.name: path.read_bytes() for path in Path("studies/s").glob("*.yaml")}
    with pytest.raises(StudyError):
        searched(resolve(replace(ASK, seed=1)), never)

    assert {path.name: path.read_bytes() for path in Path("studies/s").glob("*.yaml")} == before


def test_more_workers_and_more_trials_are_the_same_study() -> None:
    one, other = (resolve(ask).settings.identity() for ask in (ASK, replace(ASK, workers=4, trials=99)))

    assert one == other


def test_a_study_that_is_being_searched_is_left_alone(result: StudyResult) -> None:
    with (
        StudyFolder.of("s").locked(),
        pytest.raises(StudyError, match="studies/s: another process searches this study"),
    ):
        searched(resolve(replace(ASK, trials=15)))
    assert len(open_study("s").records()) == 12


def asked_again(folder: Path) -> Resolved:
    """What ``--config`` makes of the study file in a study's folder."""
    return resolve(request_from(read_study_file(folder / "study.yaml")))


OWN_SPACE = """
version: 1
name: own
description: "choices: with options, a start of their own, and what the limit of positions removes"
network: {family: unet, depth: 2, norm: instance, upsampling: bilinear}
start: identity
choices:
  encoder: [none, {kind: se, reduction: 4, start: paper}, eca]
  bottleneck: [none, pam]
  skip: [none, {kind: gate, variant: oktay}, pam]
  decoder: [none, scse]
limits: {max_positions: 100, max_macs: 2.5x, max_parameters: 3M}
"""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_macs": "1.5x", "max_parameters": "1.25M"},
        {"start": "identity", "seed": 5, "strategy": "nsga2", "cost": "latency", "finalists": 0.1},
        {"space": "own.yaml", "steps": 5, "batch_size": 3},
        {"space": "own.yaml", "max_macs": "123456789"},
        {"study": None},
    ],
    ids=["as it is", "ceilings", "flags", "own space", "own space and ceiling", "no name"],
)
def test_the_study_file_repeats_the_study(changes: dict[str, object], here: Path) -> None:
    (here / "own.yaml").write_text(OWN_SPACE, encoding="utf-8")
    resolved = resolve(replace(ASK, **changes))  # type: ignore[arg-type]
    first = searched(resolved)
    again = asked_again(here / "studies" / resolved.settings.study)

    assert again.settings.identity() == resolved.settings.identity()
    assert again.settings == resolved.settings
    assert searched(again, never).records == first.records


def test_the_study_file_of_real_data_repeats_the_study(shared_data: Path, here: Path) -> None:
    data = shared_data / "mini" / "usgra_nerves"
    resolved = resolve(replace(ASK, data=os.path.relpath(data), longest_side=64))
    searched(resolved)
    again = asked_again(here / "studies" / "s")

    assert again.settings == resolved.settings
    assert again.dataset.fingerprint == resolved.dataset.fingerprint


def test_other_data_are_another_study(shared_data: Path) -> None:
    data = str(shared_data / "mini" / "usgra_nerves")
    searched(resolve(replace(ASK, data=data, longest_side=64)))

    was = r"data fingerprint was [0-9a-f]+ and is now [0-9a-f]+ \(\d+ changed: train/"
    with pytest.raises(StudyError, match=was):
        searched(resolve(replace(ASK, data=data, longest_side=48)), never)


def test_the_exported_architecture_is_the_best_of_the_ranking(result: StudyResult) -> None:
    assert result.best is not None
    first = best(result.ranking)
    architecture = read_architecture(result.best, catalogue())
    module = nas_attn.load(result.best)

    assert architecture.placement == first.placement
    assert architecture.found.seeds == first.seeds
    assert architecture.found.trials == 12
    assert architecture.results.iou_mean == pytest.approx(first.iou_mean)
    costs = resolve(ASK).costs(first.placement)
    assert count_parameters(module) == costs.parameters
    assert count_macs(module, (1, 3, 16, 16)) == costs.macs


def test_a_loaded_architecture_computes_what_the_searched_network_did(result: StudyResult) -> None:
    assert result.best is not None
    loaded = nas_attn.load(str(result.best))
    searched_network = build_unet(resolve(ASK).settings.space.network, best(result.ranking).placement)
    initialise(searched_network, 9)
    loaded.load_state_dict(searched_network.state_dict())
    images = torch.rand(2, 3, 24, 16, generator=torch.Generator().manual_seed(0))

    with torch.no_grad():
        assert torch.equal(loaded.eval()(images), searched_network.eval()(images))


def test_no_file_holds_a_password(here: Path) -> None:
    resolved = resolve(ASK)
    asked = replace(resolved, request=replace(resolved.request, storage="postgresql://me:secret@host/studies"))
    folder = StudyFolder.of("s")
    folder.make()
    write_settings(asked, folder)

    text = folder.settings.read_text()
    assert "secret" not in text
    assert "storage:" not in text
    assert text.startswith("# nas-attn search --config studies/s/study.yaml --storage URL\n")
    assert "secret" not in folder.space.read_text()


def test_a_storage_of_ones_own_is_found_again(here: Path) -> None:
    resolved = resolve(replace(ASK, storage="sqlite:///elsewhere.db"))
    first = searched(resolved)
    again = asked_again(here / "studies" / "s")

    assert (here / "elsewhere.db").is_file()
    assert not (here / "studies" / "s" / "study.db").exists()
    assert searched(again, never).records == first.records
    assert open_study("s", "sqlite:///elsewhere.db").records() == first.records
    assert "elsewhere" not in Path("studies/s/best.yaml").read_text()


def scarce(fits: Callable[[Placement], bool], resolved: Resolved) -> Callable[..., Outcome]:
    """Looks up, but for what does not fit into memory."""
    look_up = LookupEvaluator(resolved.settings.space)

    def evaluate(placement: Placement, budget: Budget, seed: int) -> Outcome:
        if not fits(placement):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return look_up(placement, budget, seed)

    return evaluate


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_plain_unet_that_ran_out_of_memory_is_tried_again_by_the_same_command(
    parallel: int, here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Another program had it all: what ran beside the plain U-Net says nothing of its placement either."""
    ask = replace(ASK, workers=parallel, trials=20)
    undisturbed = searched(resolve(ask), size=parallel)
    os.rename("studies", "undisturbed")
    nothing_fits = scarce(lambda placement: False, resolve(ask))
    for _ in range(2):
        with pytest.raises(StudyError, match=r"baseline cannot be trained.*the same command tries again"):
            searched(resolve(ask), nothing_fits, size=parallel)
    found = searched(resolve(ask), size=parallel)

    assert found.records == tuple(
        replace(record, worker=found.records[0].worker) for record in undisturbed.records
    )
    assert "the baseline ran out of memory before, so it is tried again" in caplog.text
    (stored,) = optuna.load_study(study_name="s", storage=StudyFolder.of("s").default_url).get_trials()[:1]
    assert stored.state is optuna.trial.TrialState.COMPLETE
    assert not {"failure", "infeasible"} & set(stored.user_attrs)


def test_what_ran_out_of_memory_where_the_plain_unet_fitted_stays_infeasible(here: Path) -> None:
    resolved = resolve(ASK)
    plain = resolved.settings.space.plain
    first = searched(resolved, scarce(lambda placement: placement == plain, resolved))
    assert any(record.shortage for record in first.records)
    assert searched(resolve(ASK), never).records == first.records


def test_a_plain_unet_that_failed_otherwise_is_not_tried_again(here: Path) -> None:
    def diverge(placement: Placement, budget: Budget, seed: int) -> Outcome:
        raise DivergedError("the loss is nan")

    for evaluator in (diverge, never):
        with pytest.raises(StudyError, match=r"baseline cannot be trained.*: the loss is nan$"):
            searched(resolve(ASK), evaluator)


@pytest.mark.slow
def test_a_study_killed_at_any_statement_ends_as_an_undisturbed_one(here: Path) -> None:
    """The process dies at every few SQL statements, from before the first table on."""
    script = here / "mortal.py"
    script.write_text(
        textwrap.dedent(
            """
            import os, shutil, sys, warnings
            from contextlib import nullcontext
            from dataclasses import replace
            import sqlalchemy
            from nas_attn.training.evaluation import LookupEvaluator
            from nas_attn.study.setup import preset
            from nas_attn.study.workers.pool import InlinePool
            from nas_attn.config.settings import StudyRequest
            from nas_attn.study.setup.resolve import resolve
            from nas_attn.study.run import run_study

            preset.CPU_SYNTHETIC = replace(preset.CPU_SYNTHETIC, n_train=4, n_val=2)
            resolved = resolve(StudyRequest(study="s", space="unet_attention_small", strategy="random",
                                            device="cpu", workers=1, trials=9, image_size=16, base_channels=4))
            done = 0

            def search(death):
                # In a process of its own, which dies before its statement number ``death``.
                child = os.fork()
                if child:
                    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

                @sqlalchemy.event.listens_for(sqlalchemy.Engine, "before_cursor_execute")
                def count(*_):
                    global done
                    done += 1
                    if done == death:
                        os._exit(9)

                pool = InlinePool(LookupEvaluator(resolved.settings.space))
                result = run_study(resolved, lambda _: None, pool=nullcontext(pool))
                with open("result", "w") as file:
                    print([(r.number, r.placement.id, r.seed, r.budget.steps, str(r.role), r.outcome.score)
                           for r in result.records], file=file)
                os._exit(0)

            assert search(None) == 0
            expected = open("result").read()
            died = 0
            for death in (1, 2, 3, 5, 8, 13, 19, 24, 28, 31, 33, 35, 37, 40, 44, 50, 57, 70, 90, 130):
                shutil.rmtree("studies")
                os.remove("result")
                died += search(death) == 9
                assert not os.path.exists("result") or death > 100, death
                assert search(None) == 0, death
                assert open("result").read() == expected, death
            print("died", died)
            """
        ),
        encoding="utf-8",
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[1]) >= 18


@pytest.mark.parametrize("cut", ["in the middle", pytest.param("to nothing", marks=pytest.mark.slow)])
def test_images_that_are_cut_short_while_a_search_runs_are_made_anew_and_no_trial_fails(cut: str) -> None:
    """In the middle, what is mapped beyond the end kills the worker that reads it (SIGBUS)."""
    ask = replace(ASK, steps=2, batch_size=2, base_channels=4, precision="float32", workers=2)
    undisturbed = run_study(resolve(replace(ask, study="whole", parallel=2)), listener)
    done: set[int] = set()

    def cut_once(records: Sequence[TrialRecord]) -> None:
        ended = sum(record.state is not State.RUNNING for record in records)
        if ended == 3 and not done:
            done.add(ended)
            for path in Path("studies/s/images").glob("*/*/*.npy"):
                os.truncate(path, path.stat().st_size // 2 if cut == "in the middle" else 0)

    result = run_study(resolve(replace(ask, parallel=2)), cut_once)

    assert done
    assert [record.failure for record in result.records] == [None] * 12
    assert [one.outcome and one.outcome.score for one in result.records] == [
        one.outcome and one.outcome.score for one in undisturbed.records
    ]
