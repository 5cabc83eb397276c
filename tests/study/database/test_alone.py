"""Only one process at a time runs all trials of a study, from whatever folder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nas_attn.errors import StudyError
from nas_attn.study.database import claims as claims_module
from nas_attn.study.database.claims import ClaimTable, NoClaims, alone
from nas_attn.study.database.storage import open_storage


@pytest.fixture
def claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes the claims of another process; signs of life are frequent and patience is short."""
    monkeypatch.setattr(claims_module, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(claims_module, "PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(claims_module, "_LOOK_SECONDS", 0.1)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    engines = [open_storage(url).engine]
    yield lambda holder: ClaimTable(engines[0], 1, holder)
    engines[0].dispose()


def test_the_second_is_refused_and_the_first_goes_on(claims) -> None:
    first, second = claims("elsewhere:1:x:1"), claims("elsewhere:2:x:1")
    with alone(first, "taken"):
        with pytest.raises(StudyError, match="taken"), alone(second, "taken"):
            raise AssertionError("two at once")
        assert first.take(claims_module._ALL)
    with alone(second, "taken"):
        pass


def test_the_right_of_a_process_that_has_died_is_taken_over(claims) -> None:
    dead, living = claims("elsewhere:1:x:1"), claims("elsewhere:2:x:1")
    assert dead.take(claims_module._ALL)  # it gives no sign of life

    entered = threading.Event()
    with alone(living, "taken"):
        entered.set()
    assert entered.is_set()


def test_a_storage_that_nobody_else_sees_needs_no_right() -> None:
    with alone(NoClaims(), "taken"):
        pass
