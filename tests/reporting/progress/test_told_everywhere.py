"""What a search's trials can tell is told wherever a search shows how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import nas_attn
from nas_attn.cli.main import main
from nas_attn.notebook_progress import progress_bar
from nas_attn.record import TrialRecord, n_ended
from nas_attn.study.setup.find import open_study
from tests.searching import TINY, search_here

SAID = "120 trials of this length can detect a gain of "


class EnoughError(Exception):
    """Ends a search once its first nine runs have ended."""


def stop_after_nine(records: Sequence[TrialRecord]) -> None:
    if n_ended(records) == 9:
        raise EnoughError


def test_from_python_and_by_workers_it_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)
    tiny: dict[str, Any] = {**TINY, "trials": 120, "study": "mine"}
    with pytest.raises(EnoughError):
        nas_attn.search(**tiny, progress=True, listener=stop_after_nine)
    assert capsys.readouterr().out.count(SAID) == 1

    def joined(resolved: Any, folder: Any, ledger: Any, listener: Any, *, follow: Any) -> list[TrialRecord]:
        """Looks at the study twice, and leaves it alone."""
        records: list[TrialRecord] = ledger.records()
        listener(records)
        listener(records)
        return records

    monkeypatch.setattr("nas_attn.study.run.run_joined", joined)
    assert main(["worker", "mine", "--device", "cpu", "--workers", "1"]) == 0
    assert capsys.readouterr().out.count(SAID) == 1
    assert n_ended(open_study("mine").records()) == 9


@pytest.mark.parametrize("shown", [True, False])
def test_it_stands_above_the_bar_where_there_is_one(shown: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(3, shown=shown, first_look=lambda records: ("It can tell.",)) as bar:
        bar(())
    assert capsys.readouterr().out == ("It can tell.\n" if shown else "")
