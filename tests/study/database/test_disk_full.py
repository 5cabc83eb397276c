"""A disk that fills up in the middle of a search: one line, and the same command resumes when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.record import State
from nas_attn.study.database.ledger import Ledger

ROOT = Path(__file__).parents[3]
SEARCH = (
    "-m nas_attn search --space unet_attention_small --trials 9 --base-channels 4 --image-size 16 --steps 4 "
    "--batch-size 2 --device cpu --workers 1 --precision float32 --study s --strategy random"
)


def namespace(command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in a mount namespace of its own, as root of it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, check=False, env=environment
    )


@pytest.mark.slow
def test_a_full_disk_ends_a_search_in_one_line_and_loses_nothing(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    if shutil.which("unshare") is None or namespace(f"mount -t tmpfs none {mount}").returncode:
        pytest.skip("no small disk can be mounted here")
    done = namespace(
        f"mount -t tmpfs -o size=800k none {mount} && cd {mount} || exit 9\n"
        f"{sys.executable} {SEARCH} 2> {tmp_path}/errors; echo first $?\n"
        f"cp -r studies/s {tmp_path}/full; mount -o remount,size=64m {mount}\n"
        f"{sys.executable} {SEARCH} 2>> {tmp_path}/errors; echo second $?; cp -r studies/s {tmp_path}/whole\n"
    )

    assert "first 2" in done.stdout
    assert "second 0" in done.stdout
    (line,) = (tmp_path / "errors").read_text().splitlines()
    assert line == (
        "nas-attn: error: studies/s/study.db: the storage cannot be used: database or disk is full; "
        "free some space, and the same command resumes"
    )
    full, whole = (
        Ledger.open(f"sqlite:///{tmp_path}/{name}/study.db", "s").records() for name in ("full", "whole")
    )
    assert 0 < len(full) < 9
    assert all(one == other for one, other in zip(full, whole, strict=False) if one.state is State.COMPLETE)
    assert [one.state for one in whole] == [State.COMPLETE] * 9
