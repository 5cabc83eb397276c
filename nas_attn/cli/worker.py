"""Join a study from another process or another machine, and evaluate until it has its trials.

  nas-attn search --trials 200 --storage postgresql://me@host/studies --study nuclei --data FOLDER --parallel 8
  nas-attn worker nuclei --storage postgresql://me@host/studies --data FOLDER

All settings are in the study; the data have to be the same. A worker decides and evaluates trials like the search
itself, with or without it, so it does not matter who was started first or ends first.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nas_attn.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from nas_attn.study.setup.join import JoinRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of the study, or its folder")
    parser.add_argument("--storage", metavar="URL", help="SQLAlchemy URL [SQLite in the study's folder]")
    parser.add_argument("--data", metavar="FOLDER", help="the data here [where they were when the study began]")
    parser.add_argument(
        "--device",
        "--devices",
        metavar="DEVICES",
        help="auto | cpu | cuda | cuda:N, or cuda:0,cuda:2 [auto]",
    )
    parser.add_argument("--workers", metavar="N", help="trials at once here [auto, as in a search]")
    parser.add_argument("--wait", type=float, default=0.0, metavar="MINUTES", help="for a study not yet begun [0]")
    parser.add_argument("--log-level", metavar="LEVEL", help="of the log files, as in a search [info]")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate until the study has its trials."""
    from nas_attn.cli._console import wide_console
    from nas_attn.cli._stop import stops_as_ctrl_c

    request, console = _request(arguments), wide_console()
    with stops_as_ctrl_c():
        try:
            return _work(request, console)
        except KeyboardInterrupt:
            console.print(f"Stopped. The trials under way are free for others; study '{request.study}' goes on.")
            raise


def _request(arguments: argparse.Namespace) -> JoinRequest:
    from nas_attn.study.setup.join import JoinRequest
    from nas_attn.study.setup.request import request_problems

    workers = arguments.workers
    given = {
        "device": arguments.device,
        "workers": int(workers) if workers is not None and workers.isdecimal() else workers,
        "log_level": arguments.log_level,
    }
    problems = [f"--{name.replace('_', '-')}: {problem}" for name, problem in request_problems(given)]
    if not 0 <= arguments.wait < float("inf"):
        problems.append(f"--wait: {arguments.wait} must be a number of minutes, at least 0")
    if problems:
        raise UsageError(problems)
    given = {name: value for name, value in given.items() if value is not None}
    return JoinRequest(
        arguments.study, arguments.storage, arguments.data, wait_seconds=60 * arguments.wait, **given
    )


def _work(request: JoinRequest, console: Console) -> int:
    from nas_attn.cli._progress import SearchProgress
    from nas_attn.cli._warnings import warnings_on
    from nas_attn.study.run import run_joined
    from nas_attn.study.setup.forecast import forecast_seconds
    from nas_attn.study.setup.join import described, hint, resolve_joined

    resolved, folder, ledger = resolve_joined(request)
    console.print(described(resolved, ledger), soft_wrap=True)
    if found := hint(resolved, ledger):
        console.print(found, soft_wrap=True)
    settings = resolved.settings
    progress = SearchProgress(
        console,
        trials=settings.trials,
        workers=max(settings.workers, settings.parallel),
        cost=settings.cost,
        trial_seconds=forecast_seconds(resolved),
    )
    with progress, warnings_on(console):
        records = run_joined(resolved, folder, ledger, progress)
    console.print(f"study '{settings.study}' has its {len(records)} trials", soft_wrap=True)
    return 0
