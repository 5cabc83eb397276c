"""``nas-attn search``: from the plan to the ranking; what cannot be used is refused in one line each."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from nas_attn.cli.main import main
from nas_attn.data.synthetic import CLASSES

TINY = (
    *("--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16", "--batch-size", "2"),
    *("--steps", "4", "--device", "cpu", "--workers", "1", "--precision", "float32"),
)


def rows_of(study, capsys):
    capsys.readouterr()
    assert main(["rank", study, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def trials_of(study):
    from nas_attn.study.setup.find import open_study

    return [
        (one.number, one.placement.id, one.seed, one.budget.steps, one.role) for one in open_study(study).records()
    ]


def test_a_search_shows_its_plan_its_progress_its_ranking_and_what_to_do_next(tiny_study):
    printed = tiny_study.printed
    plan, _, rest = printed.partition("0/10 trials")
    progress, _, result = ("0/10 trials" + rest).partition("10/10 trials")

    for line in (
        "study    tiny, in studies/tiny/study.db",
        "data     synthetic: 8 training, 4 validation and 4 test images of 3 channels",
        f"classes  {', '.join(CLASSES)}",
        "space    unet_attention_small: 10 locations, 432 placements",
        "network  U-Net of depth 3, 4 base channels, batch norm, transpose upsampling: 30.6k parameters",
        "trial    4 steps of 2 crops of 16 px, float32 (preset: cpu, built-in data)",
        "device   cpu, 1 worker with one thread",
        "trials   10: 8 reference architectures, 0 proposals",
        "done     nothing yet",
        "time     about ",
        "power    the smallest detectable gain is known after the finals: 10 are few",
        "IoU      IoU of a class: ",
    ):
        assert any(shown.startswith(line) for shown in plan.splitlines()), line
    counts = [line.split(" ")[0] for line in progress.splitlines() if line[0].isdigit()]
    assert counts == [f"{done}/10" for done in range(10)]
    assert "baseline: not finished yet" in progress
    assert "; baseline " in progress
    assert "IoU x100" in result
    assert "Baseline, IoU x100: " in result
    # Whether anything is shown to be better after four steps, is not the same everywhere.
    best, _, following = result[result.index("Best architecture: studies/tiny/best.yaml") :].partition("\n\n")
    is_plain = ", which is the baseline: no placement is significantly better.\n" in best
    assert is_plain is ("Better than the baseline: " not in result)
    assert following.replace(" --against-plain", "") == (
        "Next:\n"
        "  nas-attn rank tiny\n"
        "  nas-attn verify tiny\n"
        "  nas-attn report tiny -o report.html\n"
        "  nas-attn export tiny --pick knee -o best.yaml\n"
        "  nas-attn train studies/tiny/best.yaml --data synthetic\n"
        "  nas-attn dashboard tiny\n"
    )


def test_what_is_printed_to_a_pipe_has_no_control_characters(tiny_study):
    assert "\x1b" not in tiny_study.printed
    assert max(map(len, tiny_study.printed.splitlines())) < 240


def test_the_repeated_command_finishes_at_once_and_repeats_nothing(tiny_study, monkeypatch, capsys):
    from nas_attn.study import study_pool

    def pool(evaluators, logs, **_):
        raise AssertionError("there is nothing to evaluate")

    monkeypatch.setattr(study_pool, "ProcessPool", pool)
    before = trials_of("tiny")
    assert main(tiny_study.arguments) == 0
    printed = capsys.readouterr().out

    assert "done     10 trials" in printed
    assert "Next:" in printed
    assert trials_of("tiny") == before


def test_a_larger_number_of_trials_goes_on(tiny_study, capsys):
    before = trials_of("tiny")
    arguments = [*tiny_study.arguments, "--trials", "11"]
    assert main(arguments) == 0

    assert trials_of("tiny")[:10] == before
    assert len(trials_of("tiny")) == 11
    assert "done     10 trials; the search continues after them" in capsys.readouterr().out


def test_the_study_file_repeats_the_command(tiny_study, capsys):
    assert main(["search", "--config", "studies/tiny/study.yaml"]) == 0
    assert "done     10 trials" in capsys.readouterr().out


def test_flags_override_the_study_file(tiny_study, refused):
    lines = refused("search", "--config", "studies/tiny/study.yaml", "--seed", "3", "--steps", "8")

    assert lines[:2] == [
        "study 'tiny': budget.steps was 4 and is now 8; give --steps 4",
        "study 'tiny': seed was 2 and is now 3; give --seed 2",
    ]


def test_one_trial_is_a_study(here, capsys):
    assert main(["search", *TINY, "--trials", "1", "--study", "one"]) == 0
    printed = capsys.readouterr().out

    assert "1/1 trials" in printed
    assert [row["is_reference"] for row in rows_of("one", capsys)] == [True]
    assert Path("studies/one/best.yaml").is_file()
    assert main(["search", *TINY, "--trials", "1", "--study", "one"]) == 0
    assert "done     1 trial; the search continues after it" in capsys.readouterr().out


@pytest.mark.parametrize("cost", ["latency", "memory"])
def test_measured_costs_can_be_the_second_objective(here, capsys, cost):
    assert main(["search", *TINY, "--trials", "4", "--study", "measured", "--cost", cost]) == 0
    assert f"objectives: IoU up, {cost} down" in " ".join(capsys.readouterr().out.split())
    assert any(row["on_front"] for row in rows_of("measured", capsys))


def test_two_workers_make_a_whole_study(here, capsys):
    assert (
        main(["search", *TINY, "--trials", "9", "--study", "two", "--workers", "2", "--strategy", "random"]) == 0
    )
    trials = trials_of("two")

    assert len({trial[1:4] for trial in trials}) == 9


@pytest.mark.parametrize("norm", ["group", "instance"])
def test_networks_without_batch_statistics_are_searched(here, capsys, norm):
    Path("mine.yaml").write_text(
        f"version: 1\nname: mine\ndescription: ''\nnetwork: {{family: unet, depth: 2, norm: {norm}}}\n"
        "choices: {skip: [none, gate]}\n"
    )
    assert main(["search", *TINY, "--space", "mine.yaml", "--trials", "5"]) == 0
    assert f"{norm} norm" in capsys.readouterr().out
    assert len(rows_of("mine", capsys)) >= 2


@pytest.mark.parametrize("name", ["dsb2018_nuclei", "usgra_nerves", "lara_coffee_leaf"])
def test_real_data_are_searched(here, shared_data, capsys, name):
    data = str(shared_data / "mini" / name)
    assert main(["search", *TINY, "--steps", "1", "--longest-side", "32", "--data", data, "--trials", "2"]) == 0
    printed = capsys.readouterr().out

    assert "36 training, 12 validation and 12 test images" in " ".join(printed.split())
    assert "shrunk to 32 px" in " ".join(printed.split())
    assert f"/best.yaml --data {data}\n" in printed  # the plain U-Net leads where nothing was tested


def test_a_storage_of_ones_own_is_in_the_next_commands(here, capsys):
    url = "sqlite:///mine.db"
    assert main(["search", *TINY, "--trials", "1", "--study", "stored", "--storage", url]) == 0
    printed = capsys.readouterr().out

    assert f"nas-attn rank stored --storage {url}" in printed
    assert main(["rank", "stored", "--storage", url, "--json"]) == 0


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        (["--trils", "9"], ["unknown option '--trils'; did you mean '--trials'?"]),
        (["--trials", "many"], ["--trials: 'many' must be a whole number from 1 to 1000000"]),
        (["--trials", "0", "--steps", "1.5"], ["--trials: 0 must be", "--steps: 1.5 must be"]),
        (["--cost", "mac"], ["--cost: 'mac' must be macs | parameters | latency | memory"]),
        (["--study", "../out"], ["--study: '../out' is not a name"]),
        (["--max-macs", "alot"], ["--max-macs: "]),
        (["--config", "nowhere.yaml"], ["nowhere.yaml"]),
        (["--image-size", "9"], ["image_size is 9; it must be a whole number of at least 16"]),
        (
            ["--space", "unet_atention", "--strategy", "tpee", "--data", "nowhere"],
            ["did you mean 'tpe'?", "did you mean 'unet_attention'?", "--data nowhere: there is no such folder"],
        ),
        (["--storage", "sqlit:///x.db", "--trials", "1"], ["--storage: no SQLAlchemy URL that can be used"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_mistakes_are_told_together_in_a_line_each(here, refused, words, messages):
    lines = refused("search", *words)

    assert len(lines) == len(messages)
    for line, message in zip(lines, messages, strict=True):
        assert message in line
    assert list(here.iterdir()) == [], "nothing is begun"


def test_a_space_with_an_unknown_kind_is_refused(here, refused):
    Path("mine.yaml").write_text(
        "version: 1\nname: mine\ndescription: ''\nnetwork: {family: unet, depth: 2}\n"
        "choices: {skip: [none, cbm]}\n"
    )
    (line,) = refused("search", "--space", "mine.yaml")

    assert "mine.yaml: line 5" in line
    assert "did you mean 'cbam'?" in line


@pytest.fixture
def folder(here):
    """A sound data set of three images in each split."""
    random = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(3):
            for part, top in (("images", 256), ("masks", 2)):
                path = here / "data" / part / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, top, (16, 16)).astype(np.uint8)).save(path)
    (here / "data" / "dataset.yaml").write_text("classes: [background, cell]\n")
    return here / "data"


def test_a_broken_folder_is_refused_with_every_problem(folder, refused, contents):
    torn = folder / "images" / "val" / "1.png"
    torn.write_bytes(torn.read_bytes()[:-40])
    Image.fromarray(np.full((16, 16), 7, np.uint8)).save(folder / "masks" / "train" / "2.png")
    before = contents(folder)
    lines = refused("search", *TINY, "--data", str(folder))

    assert len(lines) == 2
    assert any("images/val/1.png: " in line for line in lines)
    assert any(
        "masks/train/2.png: value 7 is outside the 2 classes (0 background, 1 cell)" in line for line in lines
    )
    assert contents(folder) == before
    assert not Path("studies").exists()


def test_an_empty_folder_is_refused(here, refused):
    Path("empty").mkdir()

    (line,) = refused("search", *TINY, "--data", "empty")
    assert "empty" in line
    assert "images" in line


@pytest.mark.parametrize("damage", ["text", "torn", "overwritten"])
@pytest.mark.parametrize("command", ["search", "rank", "export", "dashboard"])
def test_a_corrupt_study_is_refused_and_kept(tiny_study, refused, contents, damage, command):
    path = Path("studies/tiny/study.db")
    whole = path.read_bytes()
    path.write_bytes(
        {
            "text": b"no database at all",
            "torn": whole[: len(whole) // 3],
            "overwritten": whole[:4096] + b"\x07" * (len(whole) - 4096),
        }[damage]
    )
    for sidecar in ("study.db-wal", "study.db-shm"):
        Path("studies/tiny", sidecar).unlink(missing_ok=True)
    before = path.read_bytes()
    words = {"search": tiny_study.arguments[1:], "export": ("tiny", "-o", "x.yaml")}.get(command, ("tiny",))
    (line,) = refused(command, *words)

    assert line.startswith("studies/tiny/study.db: ")
    assert path.read_bytes() == before


def test_a_study_that_is_being_searched_is_refused(tiny_study, refused):
    from nas_attn.study.setup.folder import StudyFolder

    with StudyFolder.of("tiny").locked():
        (line,) = refused(*tiny_study.arguments, "--trials", "12")
    assert "another process searches this study" in line


ROOT = Path(__file__).parents[2]
MORTAL = ("search", *TINY, "--trials", "9", "--study", "mortal", "--strategy", "random", "--data", "data")


HALTING = """
import sys, threading
from nas_attn.cli._progress import SearchProgress
from nas_attn.cli.main import main
from nas_attn.record import State

tell = SearchProgress.__call__

def tell_and_halt(self, records):
    tell(self, records)
    running = sum(record.state is State.RUNNING for record in records)
    if running and len(records) - running == 2:
        print("halted")
        threading.Event().wait()

SearchProgress.__call__ = tell_and_halt
sys.exit(main(sys.argv[1:]))
"""
"""A search that goes no further once two trials are finished and one is under way."""


def begun(folder, workers, program=("-m", "nas_attn")):
    """A search as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *program, *MORTAL, "--workers", workers],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )


def read_until(process, start):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(start):
            return
    pytest.fail(f"the search ended before '{start}': {''.join(lines)} {process.stderr.read()}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "terminated"])
def test_a_stopped_search_says_how_to_go_on(here, folder, monkeypatch, capsys, number):
    """The signal itself, in this process: the third evaluation sends it."""
    from nas_attn.study import study_pool

    class Interrupted(InlinePools):
        def __init__(self, evaluators, logs, **_):
            super().__init__(evaluators, logs)
            wait, left = self._pool.wait, iter(range(2))

            def wait_or_end(seconds=None):
                if next(left, None) is None:
                    os.kill(os.getpid(), number)
                return wait(seconds)

            self._pool.wait = wait_or_end

    monkeypatch.setattr(study_pool, "ProcessPool", Interrupted)
    assert main(MORTAL) == 130
    printed, errors = capsys.readouterr()
    assert "Stopped. Finished trials are kept in studies/mortal; the same command resumes" in printed
    assert errors == "nas-attn: interrupted\n"
    assert re.search(r"(?m)^2/9 trials; baseline \d", printed)
    assert printed.endswith("\n  nas-attn search --config studies/mortal/study.yaml\n")
    begun_trials = trials_of("mortal")

    monkeypatch.setattr(study_pool, "ProcessPool", InlinePools)
    assert main(MORTAL) == 0
    assert "done     2 trials; the search continues after them" in capsys.readouterr().out
    assert trials_of("mortal")[: len(begun_trials)] == begun_trials
    assert len(trials_of("mortal")) == 9


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        pytest.param(signal.SIGKILL, "2", id="killed"),
        pytest.param(signal.SIGINT, "2", id="interrupted", marks=pytest.mark.slow),
    ],
)
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(
    here, folder, monkeypatch, capsys, number, workers
):
    from nas_attn.study import study_pool

    process = begun(here, workers, ("-c", HALTING))
    read_until(process, "halted")
    process.send_signal(number)
    printed, errors = process.communicate(timeout=120)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "Stopped. Finished trials are kept in studies/mortal; the same command resumes" in printed
        assert errors == "nas-attn: interrupted\n"
    begun_trials = trials_of("mortal")

    monkeypatch.setattr(study_pool, "ProcessPool", InlinePools)
    assert main([*MORTAL, "--workers", workers]) == 0
    stopped = trials_of("mortal")
    Path("studies/mortal").rename("studies/stopped")
    assert main([*MORTAL, "--workers", workers]) == 0
    assert "done     nothing yet" in capsys.readouterr().out

    assert len(begun_trials) == 3
    assert stopped[: len(begun_trials)] == begun_trials
    assert stopped == trials_of("mortal")


class InlinePools:
    """As many workers as asked for, in this process."""

    def __init__(self, evaluators, logs, **_):
        from nas_attn.study.workers.pool import InlinePool

        self._pool = InlinePool(evaluators[0], size=len(evaluators))

    def __enter__(self):
        return self._pool

    def __exit__(self, *_):
        return None


@pytest.mark.slow
def test_a_search_killed_five_times_has_the_trials_of_an_undisturbed_one(here, folder):
    """Real processes only, two workers, killed at random moments; scores are equal bit for bit."""
    import random

    from nas_attn.study.database.ledger import Ledger

    def found(place):
        url = f"sqlite:///{place}/studies/mortal/study.db"
        return [
            (one.number, one.placement, one.seed, one.budget, one.role, one.outcome.score)
            for one in Ledger.open(url, "mortal").records()
        ]

    moments = random.Random(0)
    for name in ("killed", "undisturbed"):
        shutil.copytree(folder, here / name / "data")
    for _ in range(5):
        process = begun(here / "killed", "2")
        time.sleep(moments.uniform(5, 25))
        process.kill()
        process.communicate()
    for name in ("killed", "undisturbed"):
        process = begun(here / name, "2")
        _, errors = process.communicate(timeout=250)
        assert (process.returncode, errors) == (0, "")
    assert found(here / "killed") == found(here / "undisturbed")


def test_the_settings_file_is_plain_yaml(tiny_study):
    values = yaml.safe_load(Path("studies/tiny/study.yaml").read_text())

    assert values["version"] == 1
    assert (values["trials"], values["study"], values["steps"]) == (10, "tiny", 4)


@pytest.mark.parametrize(("memory", "warns"), [(8 * 10**9, True), (64 * 10**9, False), (None, False)])
def test_more_workers_than_the_memory_holds_are_warned_of(here, monkeypatch, capsys, memory, warns):
    from nas_attn.study import study_pool

    monkeypatch.setattr(study_pool, "machine_bytes", lambda: memory)
    words = [*TINY, "--trials", "3", "--study", "s", "--workers", "64"]
    assert main(["search", *words]) == 0
    shown = capsys.readouterr().out
    assert ("warning: 64 workers take 27.5 GB of memory before they train" in shown) is warns


def test_a_dry_run_shows_the_plan_and_begins_nothing(here, capsys):
    assert main(["search", *TINY, "--study", "never", "--dry-run"]) == 0

    shown = capsys.readouterr().out
    assert "trials " in shown
    assert shown.endswith("Nothing was started (--dry-run).\n")
    assert not Path("studies").exists()


def test_a_study_that_cannot_be_stored_is_refused_before_anything_is_timed(here, refused, monkeypatch):
    from nas_attn.study.setup import calibrate

    monkeypatch.setattr(calibrate, "forecast_seconds", lambda _: pytest.fail("too late"))
    Path("studies").write_text("no folder")

    (line,) = refused("search", *TINY, "--study", "never")
    assert line.startswith("studies/never: the study's folder cannot be made: ")
