"""A study's database while several processes use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import optuna

from nas_attn.study.database.sqlite import sqlite_url
from nas_attn.study.database.storage import open_storage

LOOK = """
import sys
from nas_attn.study.database.storage import open_storage
storage = open_storage(sys.argv[1], must_exist=True)
print(len(storage.get_all_trials(1)))
storage.engine.dispose()
"""


def seen_by_another_process(url: str) -> int:
    """How many trials a process sees that opens the database and leaves again."""
    answer = subprocess.run(
        [sys.executable, "-c", LOOK, url], capture_output=True, text=True, check=True, timeout=120
    )
    return int(answer.stdout)


def test_what_is_written_after_others_have_looked_is_not_lost(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    storage = open_storage(url)
    study = optuna.create_study(storage=storage, study_name="looked at")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    again = open_storage(url)  # as a search does: to see whether there is a study, and to go on with it
    assert len(again.get_all_trials(1)) == 1

    assert seen_by_another_process(url) == 1
    study.add_trial(optuna.trial.create_trial(value=2.0))
    assert seen_by_another_process(url) == 2
