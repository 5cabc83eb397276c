"""``nas-attn worker``: joins a study by its name and storage alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nas_attn.cli.main import main

ROOT = Path(__file__).parents[2]
TINY = (
    *("--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16", "--batch-size", "2"),
    *("--steps", "4", "--device", "cpu", "--workers", "1", "--precision", "float32"),
)


def test_a_worker_finishes_a_study_and_says_so(tiny_study, capsys):
    from nas_attn.strategy.settings import Plan
    from nas_attn.study.setup.find import open_study

    open_study("tiny").write_plan(Plan(12, 2))
    assert main(["worker", "tiny", "--device", "cpu", "--workers", "1"]) == 0
    printed = capsys.readouterr().out.splitlines()

    assert printed[0] == "study 'tiny' in studies/tiny/study.db: 10 of 12 trials; joined by 1 worker on cpu"
    assert printed[-1] == "study 'tiny' has its 12 trials"
    assert len(open_study("tiny").records()) == 12
    assert not any("laid out" in line for line in printed)


def test_a_study_laid_out_for_one_says_how_to_share_it(tiny_study, capsys):
    """The way out that it names is heeded by the next search of the study."""
    from nas_attn.strategy.settings import Plan
    from nas_attn.study.setup.find import open_study

    open_study("tiny").write_plan(Plan(10, 1))
    assert main(["worker", "tiny", "--device", "cpu", "--workers", "1"]) == 0

    assert capsys.readouterr().out.splitlines()[1] == (
        "study 'tiny' is laid out for 1 trial at once, on all machines together: beside others that search "
        "it, workers here will mostly wait. To share the work, repeat the command that began it with --parallel "
        "N, where N counts the workers of all machines; searches that are running adopt it"
    )


def test_a_worker_joins_by_the_storage_alone(tiny_study, monkeypatch, capsys, tmp_path_factory):
    url = f"sqlite:///{Path('studies/tiny/study.db').resolve()}"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert main(["worker", "tiny", "--storage", url, "--device", "cpu", "--workers", "1"]) == 0

    assert capsys.readouterr().out.endswith("study 'tiny' has its 10 trials\n")
    assert {path.name for path in (elsewhere / "studies" / "tiny").iterdir()} == {
        "study.yaml",
        "space.yaml",
        "logs",
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("worker", "nowhere"), "there is no study 'nowhere' in studies/"),
        (("worker", "s", "--workers", "0"), "--workers: 0 must be a whole number from 1 to 4096, or 'auto'"),
        (("worker", "s", "--device", "gpu"), "--device: unknown device 'gpu'; it must be auto | cpu | cuda | "),
        (("worker", "s", "--wait", "-1"), "--wait: -1.0 must be a number of minutes, at least 0"),
        (("worker", "s", "--log-level", "loud"), "--log-level: 'loud' must be debug | info | warning | error"),
        (("worker", "s", "--storage", "x.db"), "--storage: no SQLAlchemy URL that can be used; write one"),
    ],
)
def test_what_cannot_be_joined_is_refused(here, refused, arguments, line):
    (found,) = refused(*arguments)
    assert found.startswith(line)


def test_a_server_without_its_driver_names_what_to_install(here, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    (found,) = refused("worker", "s", "--storage", "postgresql://me:secret@127.0.0.1:1/x")

    assert "pip install 'nas-attn[postgres]'" in found
    assert "secret" not in found


def test_a_server_that_is_away_is_named_without_its_password(here, refused, monkeypatch):
    pytest.importorskip("psycopg")
    monkeypatch.setattr("nas_attn.study.database.patience.START_SECONDS", 1.0)
    (found,) = refused("worker", "s", "--storage", "postgresql://me:secret@127.0.0.1:1/x")

    assert found.startswith("postgresql://me:***@127.0.0.1:1/x: the storage cannot be used: ")
    assert "secret" not in found


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["terminated", "Ctrl-C"])
def test_a_stopped_worker_frees_its_trial_at_once(tmp_path, number):
    """A real search and a real worker: the search takes over what the worker was doing."""
    from nas_attn.record import State
    from nas_attn.study.database.ledger import Ledger

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}

    def command(*words):
        return subprocess.Popen(
            [sys.executable, "-m", "nas_attn", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        )

    search = command(
        *("search", *TINY, "--trials", "12", "--study", "s", "--strategy", "random", "--steps", "100"),
        *("--parallel", "3"),
    )
    worker = command("worker", "s", "--device", "cpu", "--workers", "1", "--wait", "2")
    log = tmp_path / "studies" / "s" / "logs"
    end = time.monotonic() + 200
    while not any("trial" in path.read_text() for path in log.glob(f"*-{worker.pid}-worker-0.log")):
        assert time.monotonic() < end, "the worker has begun nothing"
        time.sleep(0.1)
    worker.send_signal(number)
    printed, errors = worker.communicate(timeout=100)

    assert worker.returncode == 130
    assert "Stopped. Other workers take over the running trials; study 's' continues." in printed
    assert errors == "nas-attn: interrupted\n"
    _, errors = search.communicate(timeout=250)
    assert (search.returncode, errors) == (0, "")
    records = Ledger.open(f"sqlite:///{tmp_path}/studies/s/study.db", "s").records()
    assert len(records) == 12
    assert all(record.state is State.COMPLETE for record in records)
