"""Processes for workers: forked from one that has loaded PyTorch, so that they start immediately and share its
memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

_PRELOADED = "nas_attn.study.workers.preloaded"


def start_process(target: Callable[..., object], *arguments: object) -> BaseProcess:
    """Call a function in another process, with the environment of this one. It ends with this process.

    On Linux, it is forked from a server that has loaded what all workers need and nothing else: no thread runs
    there, and no device was used. The first process waits some seconds for the server. On other systems, each
    process loads everything itself. Ctrl-C is ignored from its first instruction.

    Args:
        target: function to call; found by its name.
        arguments: plain values, and ends of pipes.
    Raises:
        OSError: no process can be started.
    """
    context = _context()
    process: BaseProcess = context.Process(  # type: ignore[attr-defined]
        target=_with_environment, args=(dict(os.environ), target, *arguments), daemon=True
    )
    try:  # what the server forks ignores Ctrl-C as the server does
        with nullcontext() if context.get_start_method() == "forkserver" else _ctrl_c_ignored():
            process.start()
    except EOFError:
        raise OSError(0, "the process that workers are forked from has ended") from None
    return process


def _context() -> BaseContext:
    if sys.platform == "linux":
        with suppress(OSError), _ctrl_c_ignored():  # there may be no folder for the server's socket
            forked = multiprocessing.get_context("forkserver")
            forked.set_forkserver_preload([_PRELOADED])
            forkserver.ensure_running()
            return forked
    return multiprocessing.get_context("spawn")


def _with_environment(environment: dict[str, str], target: Callable[..., object], *arguments: object) -> None:
    """Call a function with the environment of the process that asked for it, because the server has the
    environment of its own start."""
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Ignore Ctrl-C, so that a process started here inherits this. Signals can only be set in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
