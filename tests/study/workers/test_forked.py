"""Processes for workers: forked from one that has loaded PyTorch, wherever that can be."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from nas_attn.study.workers.forked import start_process


def tell(link: Connection, name: str) -> None:
    """What a process has of the one that started it, and what it was born with."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    link.send((os.environ.get(name), "torch" in sys.modules, ignored, os.getppid()))


def told(name: str = "NAS_ATTN_TEST") -> tuple[str | None, bool, bool, int]:
    ours, theirs = multiprocessing.Pipe()
    process = start_process(tell, theirs, name)
    try:
        assert ours.poll(100)
        found: tuple[str | None, bool, bool, int] = ours.recv()
        return found
    finally:
        process.join()
        ours.close()
        theirs.close()


@pytest.fixture
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """None has been started yet."""
    server = forkserver.ForkServer()
    monkeypatch.setattr(forkserver, "_forkserver", server)
    monkeypatch.setattr(forkserver, "ensure_running", server.ensure_running)
    monkeypatch.setattr(forkserver, "connect_to_new_process", server.connect_to_new_process)


@pytest.fixture
def nowhere(no_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder for the server's socket."""

    def refuse(family: str) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(forkserver.connection, "arbitrary_address", refuse)  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_workers_have_pytorch_when_they_are_born_and_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is that of now, not of when the first worker was started; Ctrl-C does not reach them."""
    monkeypatch.setenv("NAS_ATTN_TEST", "first")
    first = told()
    monkeypatch.setenv("NAS_ATTN_TEST", "second")
    second = told()
    monkeypatch.delenv("NAS_ATTN_TEST")
    third = told()

    assert [found[:3] for found in (first, second, third)] == [
        (value, True, True) for value in ("first", "second", None)
    ]
    assert len({found[3] for found in (first, second, third)} - {os.getpid()}) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_no_thread_runs_where_workers_are_forked_from(no_server: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that another thread holds would stay locked in the worker for ever."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    server = told()[3]
    status = Path(f"/proc/{server}/status").read_text(encoding="utf-8")
    assert "\nThreads:\t1\n" in status


def test_without_a_folder_for_a_socket_each_worker_loads_it_anew(nowhere: None) -> None:
    _, has_torch, ignored, parent = told()
    assert (has_torch, ignored, parent) == (False, True, os.getpid())


def runs(code: str) -> bool:
    """Whether a new process runs it to its end."""
    return subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_no_gpu_is_touched_where_workers_are_forked_from() -> None:
    """CUDA cannot be used by a process that was forked from one that has used it."""
    code = (
        "import torch\n"
        "def touched(*_): raise SystemExit('touched')\n"
        "for name in ('is_available', 'device_count', '_lazy_init'): setattr(torch.cuda, name, touched)\n"
        "import nas_attn.study.workers.preloaded, nas_attn.training.evaluation"
    )
    assert runs(code)


ALL_OF_AN_OPTIMISER = (
    "def use_all():\n"
    "    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.ones(1))])\n"
    "    optimiser.zero_grad()\n"
    "    optimiser.load_state_dict(optimiser.state_dict())\n"
)


def test_an_optimiser_loads_nothing_that_workers_would_each_have_for_themselves() -> None:
    """PyTorch would load its compiler when the first is made: seconds, and nearly 200 MB."""
    code = (
        "import sys, torch, nas_attn.study.workers.preloaded\n"
        "before = set(sys.modules)\n"
        f"{ALL_OF_AN_OPTIMISER}"
        "use_all()\n"
        "assert set(sys.modules) == before, set(sys.modules) - before\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    assert runs(code)


def test_once_the_compiler_is_loaded_optimisers_are_as_pytorch_has_them() -> None:
    code = (
        "import torch, nas_attn.training.optimiser\n"
        f"{ALL_OF_AN_OPTIMISER}"
        "use_all()\n"
        "import torch._dynamo\n"
        "use_all()\n"
        "kept = torch.optim.Optimizer.add_param_group.__wrapped__.__dynamo_disable\n"
        "assert kept.__module__.startswith('torch.'), kept\n"
        "assert 'uncompiled' not in kept.__code__.co_filename, kept"
    )
    assert runs(code)


def test_a_package_that_cannot_be_loaded_is_met_by_the_worker_that_needs_it() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import nas_attn.study.workers.preloaded; "
        "import nas_attn.study.workers.forked"
    )
    assert runs(code)
