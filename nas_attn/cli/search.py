"""Search a space: train placements, rank them against the plain U-Net, export the best.

  nas-attn search --space unet_attention --trials 200
  nas-attn search --space unet_attention --trials 200 --data FOLDER --study nuclei
  nas-attn search --config studies/quick.yaml

Stopped or killed, the same command goes on where it was.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas_attn.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from nas_attn.study.run import StudyResult
    from nas_attn.study.setup.resolve import Resolved

_TOP = 10

_FLAGS = {
    "space": "search space: a name ('nas-attn spaces' lists them) or a file [unet_attention]",
    "data": "folder with images/ and masks/, or 'synthetic', or 'clips' [synthetic]",
    "study": "name of the study [the space's and the data's]",
    "trials": "how many trials the study shall have in the end [200, or with --timeout as many as there is time]",
    "timeout": "time after which no trial begins, such as 30m or 1h30m [no limit]",
    "seed": "of everything random [0]",
    "screening-seeds": "so many seeds are taken in turn by the proposals [4]",
    "strategy": "who proposes placements: additive | gp | nsga2 | random | tpe [additive]",
    "cost": "second objective: macs | parameters | latency | memory [macs]",
    "storage": "SQLAlchemy URL [SQLite at studies/STUDY/study.db]",
    "start": "start of every attention: paper | identity [the space's]",
    "base-channels": "channels of the network at full resolution [preset of the device]",
    "image-size": "side of the training crops in pixels [preset]",
    "frames": "frames of a clip that go through the network together [the space's, or preset]",
    "batch-size": "crops of a step [preset]",
    "steps": "optimiser steps of a trial [preset]",
    "budget": "'auto' doubles the steps until the plain U-Net has converged [--steps]",
    "ladder": "steps of short, longer and full trials, such as 60,180,540; 'auto' takes a ninth and a third, once "
    "they are proven to foretell full ones [all trials in full]",
    "ladder-start": "where its shorter trials start: plain, at the trained plain U-Net, or scratch [plain]",
    "longest-side": "shrink larger images of a folder to so many pixels, or 'full' [preset]",
    "max-macs": "ceiling such as 1.5x (the plain U-Net's) or 2.1G [the space's]",
    "max-parameters": "ceiling likewise [the space's]",
    "max-cost": "ceiling likewise, of what --cost names [none]",
    "finalists": "share of the trials that gives leading placements further seeds [0.25]",
    "device": "auto | cpu | cuda | cuda:N, or several: cuda:0,cuda:2 [auto]",
    "workers": "trials at once, or 'auto': one for each core, or as many as a GPU runs fastest [auto]",
    "parallel": "trials at once, on all machines together, where others join by 'nas-attn worker' [workers]",
    "engine": "who runs the workers: processes of this machine, or ray [processes]",
    "address": "of the Ray cluster, such as auto; local starts one here [local]",
    "gpu-share": "what each worker of Ray gets of a GPU [1]",
    "out-of-memory": "fail, or split: go through a trial's batches in parts, if that changes nothing [fail]",
    "log-level": "of the log files in studies/STUDY/logs: debug | info | warning | error [info]",
    "precision": "float32 | bfloat16, each with +channels_last or without [the fastest here, measured once]",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of a search; each has a field of the same name in study files."""
    parser.add_argument("--config", metavar="FILE", help="study file; flags override it")
    for flag, about in _FLAGS.items():
        names = ("--device", "--devices") if flag == "device" else (f"--{flag}",)
        parser.add_argument(*names, metavar=flag.upper().replace("-", "_"), help=about.replace("%", "%%"))
    parser.add_argument(
        "--as-new", action="store_true", help="where a study of that name has other settings, begin STUDY-2"
    )


def run(arguments: argparse.Namespace) -> int:
    """Show the plan, run the trials, show the ranking."""
    from nas_attn.cli._console import wide_console

    request = _request(arguments)
    from nas_attn.study.setup.begin import as_new
    from nas_attn.study.setup.resolve import resolve

    resolved = resolve(request)
    return _search(as_new(resolved) if arguments.as_new else resolved, wide_console())


def _request(arguments: argparse.Namespace) -> Any:
    from nas_attn.study.setup.config import read_study_file
    from nas_attn.study.setup.request import StudyRequest, request_problems

    written = {} if arguments.config is None else read_study_file(Path(arguments.config))
    fields = {flag.replace("-", "_"): flag for flag in _FLAGS}
    given = {field: _value(field, text) for field in fields if (text := getattr(arguments, field)) is not None}
    if found := request_problems(given):
        raise UsageError([f"--{fields[field]}: {problem}" for field, problem in found])
    return StudyRequest(**{**written, **given})


def _value(field: str, text: str) -> object:
    """A flag's text as the number it looks like, where its field takes numbers."""
    from nas_attn.study.setup.request import NUMBERS

    if field not in NUMBERS:
        return text
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _search(resolved: Resolved, console: Console) -> int:
    from nas_attn.cli._plan import plan_table
    from nas_attn.cli._progress import SearchProgress
    from nas_attn.cli._stop import stops_as_ctrl_c
    from nas_attn.cli._warnings import warnings_on
    from nas_attn.study.run import n_trials_done, run_study
    from nas_attn.study.schedule.agenda import Agenda
    from nas_attn.study.setup.forecast import forecast_seconds

    settings = resolved.settings
    n_done = n_trials_done(resolved)
    agenda = Agenda(settings, resolved.costs)
    trial_seconds = forecast_seconds(resolved) if n_done < settings.trials else 0.0
    console.print(plan_table(resolved, agenda, n_done, trial_seconds))
    console.print()
    progress = SearchProgress(
        console,
        trials=settings.trials,
        workers=settings.workers,
        cost=settings.cost,
        trial_seconds=trial_seconds,
        timeout=settings.timeout,
        spent=agenda.spent,
    )
    with stops_as_ctrl_c():
        try:
            with progress, warnings_on(console):
                result = run_study(resolved, progress)
        except KeyboardInterrupt:
            console.print(
                f"Stopped. What is finished is kept in studies/{settings.study}; the same command goes on with it."
            )
            raise
    _show(result, resolved, console)
    return 0


def _show(result: StudyResult, resolved: Resolved, console: Console) -> None:
    from nas_attn.cli._budget_text import budget_text
    from nas_attn.cli._ranking_table import ranking_table
    from nas_attn.export import best
    from nas_attn.study.database.storage import url_without_password

    console.print(ranking_table(result.ranking, _TOP))
    console.print()
    ladder = () if result.course is None else result.course.ladder
    proof = resolved.settings.on_proof
    console.print(budget_text(result.records, result.ranking, ladder, on_proof=proof))
    if result.best is None:
        return
    data = shlex.quote(resolved.request.data)
    stored = resolved.request.storage
    storage = f" --storage {shlex.quote(url_without_password(stored))}" if stored else ""
    console.print(f"\n{_best(result)}\n\nNext:", soft_wrap=True)
    against = "" if best(result.ranking).is_plain else " --against-plain"
    for command in (
        f"nas-attn rank {result.study}{storage}",
        f"nas-attn verify {result.study}{storage}",
        f"nas-attn report {result.study} -o report.html{storage}",
        f"nas-attn export {result.study} --pick knee -o best.yaml{storage}",
        f"nas-attn train {result.best} --data {data}{against}",
        f"nas-attn dashboard {result.study}{storage}",
    ):
        console.print(f"  {command}", soft_wrap=True)


def _best(result: StudyResult) -> str:
    """What was exported as the best, and what it means where that is the plain U-Net."""
    from nas_attn.export import best

    if not best(result.ranking).is_plain:
        return f"Best architecture: {result.best}"
    return (
        f"Best architecture: {result.best}, which is the plain U-Net: nothing is shown to be better.\n"
        f"The first with attention all the same: nas-attn export {result.study} --pick first -o first.yaml"
    )
