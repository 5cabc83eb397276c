"""Join a study from another process or another machine, and evaluate until it has its trials.

  nas-attn search --trials 200 --storage postgresql://me@host/studies --study nuclei --data FOLDER --parallel 8
  nas-attn worker nuclei --storage postgresql://me@host/studies --data FOLDER

All settings are in the study; the data have to be the same. A worker decides and evaluates trials like the search
itself, with or without it, so the order in which they start and end does not matter.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from nas_attn.cli._flags import JOINING, add_settings, given_settings

if TYPE_CHECKING:
    from rich.console import Console

    from nas_attn.study.setup.join import JoinRequest

_SETTINGS = ("storage", "data", "device", "workers", "log_level")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of the study, or its folder")
    add_settings(parser, _SETTINGS, defaults=JOINING)
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="MINUTES",
        help="minutes to wait for a study that has not started yet [0]",
    )


def run(arguments: argparse.Namespace) -> int:
    """Evaluate until the study has its trials."""
    from nas_attn.cli._console import wide_console
    from nas_attn.cli._progress import stoppable

    request, console = _request(arguments), wide_console()
    told = f"Stopped. Other workers take over the running trials; study '{request.study}' continues."
    with stoppable(lambda: console.print(told)):
        return _work(request, console)


def _request(arguments: argparse.Namespace) -> JoinRequest:
    from nas_attn.study.setup.join import JoinRequest

    wait = arguments.wait
    wrong = [] if 0 <= wait < float("inf") else [f"--wait: {wait} must be a number of minutes, at least 0"]
    given = given_settings(arguments, _SETTINGS, *wrong)
    return JoinRequest(arguments.study, wait_seconds=60 * wait, **given)  # type: ignore[arg-type]  # each is judged


def _work(request: JoinRequest, console: Console) -> int:
    from nas_attn.cli._progress import SearchProgress, warnings_on
    from nas_attn.reporting.progress.first_look import FirstLook
    from nas_attn.reporting.progress.pace import Pace
    from nas_attn.strategy.schedule.agenda import Agenda
    from nas_attn.study.run import run_joined
    from nas_attn.study.setup.calibrate import forecast_seconds
    from nas_attn.study.setup.join import described, hint, resolve_joined

    resolved, folder, ledger = resolve_joined(request)
    console.print(described(resolved, ledger), soft_wrap=True)
    if found := hint(resolved, ledger):
        console.print(found, soft_wrap=True)
    settings, agenda = resolved.settings, Agenda(resolved.settings, resolved.costs)
    workers = max(settings.workers, settings.parallel)
    pace = Pace.of(settings, agenda, workers=workers, forecast=forecast_seconds(resolved))
    first_look = FirstLook(settings, agenda, pace)
    progress = SearchProgress(console, pace, cost=settings.cost, first_look=first_look)
    with progress, warnings_on(console):
        records = run_joined(resolved, folder, ledger, progress, follow=progress.follow)
    console.print(f"study '{settings.study}' has its {len(records)} trials", soft_wrap=True)
    return 0
