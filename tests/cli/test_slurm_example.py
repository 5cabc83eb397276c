"""The job array for Slurm, run as Slurm runs it: every task by the same script."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.record import State
from nas_attn.study.database.ledger import Ledger

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "studies" / "slurm.sh"


def test_the_script_is_sound_and_asks_slurm_for_a_gpu_and_a_warning() -> None:
    text = SCRIPT.read_text(encoding="utf-8")

    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    assert text.startswith("#!/bin/bash\n# sbatch --export=")
    assert "#SBATCH --array=0-7\n" in text
    assert "#SBATCH --gpus-per-task=1\n" in text
    assert "#SBATCH --signal=B:TERM@120\n" in text


@pytest.mark.slow
def test_three_tasks_do_one_study(tmp_path: Path) -> None:
    """The workers are there before the study is."""
    program = tmp_path / "bin" / "nas-attn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m nas_attn "$@"\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "STUDY": "s",
        "DATA": "synthetic",
        "STORAGE": f"sqlite:///{tmp_path}/study.db",
        "TRIALS": "9",
        "DEVICE": "cpu",
        "SLURM_ARRAY_TASK_COUNT": "3",
        "SEARCH_FLAGS": "--space unet_attention_small --base-channels 4 --image-size 16 --batch-size 2 --steps 30 "
        "--precision float32 --strategy random",
    }
    tasks = []
    for task in (1, 2, 0):
        folder = tmp_path / str(task)
        folder.mkdir()
        tasks.append(
            subprocess.Popen(
                ["bash", SCRIPT],
                env={**environment, "SLURM_ARRAY_TASK_ID": str(task)},
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in tasks:
        _, errors = process.communicate(timeout=280)
        assert (process.returncode, errors) == (0, "")

    records = Ledger.open(environment["STORAGE"], "s").records()
    assert [one.state for one in records] == [State.COMPLETE] * 9
    assert len({one.worker for one in records}) > 1, "the tasks shared the work"
