"""Tests of memory that stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from nas_attn.training.heap import keep_freed_memory

_FAULTS = """
import resource, sys, torch
from nas_attn.training.heap import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "kept":
    keep_freed_memory()
def step(mebibytes):
    activations = [torch.ones(mebibytes << 18) for _ in range(16)]
    result = torch.ones(1 << 20)
faults = 0
for mebibytes in (1, 2, 4, 8):
    for _ in range(3):
        step(mebibytes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        step(mebibytes)
    faults += resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults)
"""
"""Page faults of steps that take and free 16 blocks; by itself glibc gives those of some sizes back."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the settings are those of glibc")
def test_what_a_step_frees_serves_the_next():
    assert _faults("kept") < _faults("usual") / 10


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", lambda name: pytest.fail("no library but glibc has these settings"))
    keep_freed_memory()


def _faults(heap: str) -> int:
    asked = [sys.executable, "-c", _FAULTS, heap]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
