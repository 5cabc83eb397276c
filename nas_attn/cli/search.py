"""Search a space: train placements, rank them against the baseline, export the best.

  nas-attn search --space unet_attention --trials 200
  nas-attn search --space unet_attention --trials 200 --data FOLDER --study nuclei
  nas-attn search --config studies/quick.yaml

Stopped or killed, the same command resumes where it was.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from importlib.resources import files as files_of
from pathlib import Path
from typing import TYPE_CHECKING

from nas_attn.cli._flags import add_settings, given_settings
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.config.described import described_settings
from nas_attn.config.settings import FIELDS, GROUPS, StudyRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nas_attn.analysis.verdict import StudyVerdict
    from nas_attn.cli._progress import SearchProgress
    from nas_attn.record import TrialRecord
    from nas_attn.reporting.progress.pace import Pace
    from nas_attn.strategy.schedule.agenda import Agenda
    from nas_attn.study.run import StudyResult
    from nas_attn.study.setup.resolve import Resolved

_TOP = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of a search, group by group. Each has a field of the same name in study files."""
    parser.add_argument("--config", metavar="FILE", help="study file; flags override it")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and stop")
    parser.add_argument(
        "--logger", metavar="NAME", help="log each trial as a run: tensorboard | csv | wandb | mlflow [none]"
    )
    parser.add_argument(
        "--verify", action="store_true", help="verify the first placement on the test data afterwards"
    )
    parser.add_argument(
        "--as-new", action="store_true", help="if a study of that name has other settings, start STUDY-2"
    )
    words = {"strategy": " | ".join(strategy_names())}
    for group in GROUPS:
        names = [one.name for one in described_settings().values() if one.group == group]
        add_settings(parser.add_argument_group(group), names, words=words)


def strategy_names() -> list[str]:
    """Names registered by the files of ``nas_attn.strategy.samplers``, found by parsing because importing needs
    Optuna."""
    files = files_of("nas_attn").joinpath("strategy", "samplers").iterdir()
    texts = [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".py")]
    return sorted(name for text in texts for name in re.findall(r'(?m)^@STRATEGIES\.register\("(\w+)"\)', text))


def run(arguments: argparse.Namespace) -> int:
    """Show the plan, run the trials and show the ranking."""
    from nas_attn.cli._console import wide_console

    request = _request(arguments)
    if arguments.logger is not None:
        from nas_attn.training.full.loggers import check_logger

        check_logger(arguments.logger)
    from nas_attn.study.setup.begin import as_new, with_known_latency
    from nas_attn.study.setup.resolve import resolve

    resolved = resolve(request)
    resolved = with_known_latency(as_new(resolved) if arguments.as_new else resolved)
    console = wide_console()
    result = _search(resolved, console, dry=arguments.dry_run, logger=arguments.logger)
    if result is None:
        return 0
    _show(result, resolved, console)
    verified = False
    try:
        if arguments.verify and _is_worth_verifying(result, console):
            result, verified = replace(result, answer=_verified(resolved)), True
    finally:  # what was found is found, whatever becomes of its verification
        _show_next(result, resolved, console, verified=verified)
    return 0


def _is_worth_verifying(result: StudyResult, console: Console) -> bool:
    """Whether a verification can change the answer. If it cannot, say so."""
    from nas_attn.analysis.verdict import Open

    if result.answer.reason is not Open.NOT_CONVERGED:
        return True
    console.print(
        "\nNot verified: with runs that are too short, a study claims nothing, whatever fresh seeds show.",
        soft_wrap=True,
    )
    return False


def _verified(resolved: Resolved) -> StudyVerdict:
    """Verify the claim as ``nas-attn verify`` does, with the workers of the search, and print the new answer."""
    from nas_attn.cli import verify
    from nas_attn.cli.verdict import sentences_of
    from nas_attn.study.answer import answer_of
    from nas_attn.study.setup.find import open_study

    asked, study = resolved.request, resolved.settings.study
    say("")
    verify.run(
        argparse.Namespace(
            study=study,
            storage=asked.storage,
            data=asked.data,
            device=asked.device,
            workers=str(asked.workers),
            seeds=verify.SEEDS,
            pick=None,
            ablate=False,
            json=False,
        )
    )
    answer = answer_of(open_study(study, asked.storage))
    say("\n" + "\n".join(sentences_of(study, answer)))
    return answer


def _request(arguments: argparse.Namespace) -> StudyRequest:
    from nas_attn.study.setup.study_file import read_study_file

    written = {} if arguments.config is None else read_study_file(Path(arguments.config))
    return StudyRequest(**{**written, **given_settings(arguments, FIELDS)})


def _search(resolved: Resolved, console: Console, *, dry: bool, logger: str | None) -> StudyResult | None:
    """Show the plan, and search unless only the plan was asked for."""
    from nas_attn.cli._plan import plan_table
    from nas_attn.cli._progress import SearchProgress
    from nas_attn.reporting.progress.first_look import FirstLook
    from nas_attn.strategy.schedule.agenda import Agenda
    from nas_attn.study.run import trials_so_far
    from nas_attn.study.setup.folder import StudyFolder

    records, agenda = trials_so_far(resolved), Agenda(resolved.settings, resolved.costs)
    if not dry:
        StudyFolder.of(resolved.settings.study).make()  # or refused, before anything takes time
    pace = _pace(resolved, agenda, records)
    console.print(plan_table(resolved, agenda, records, pace))
    if dry:
        console.print("\nNothing was started (--dry-run).")
        return None
    console.print()
    first_look = FirstLook(resolved.settings, agenda, pace)
    progress = SearchProgress(console, pace, cost=resolved.settings.cost, first_look=first_look)
    return _run(resolved, progress, console, logger)


def _pace(resolved: Resolved, agenda: Agenda, records: Sequence[TrialRecord]) -> Pace:
    """The pace of trials: taken from existing trials, otherwise from a few timed steps."""
    from nas_attn.reporting.progress.pace import Pace
    from nas_attn.study.setup.calibrate import forecast_seconds

    settings = resolved.settings
    known = any(record.outcome is not None for record in records)
    forecast = 0.0 if known else forecast_seconds(resolved)
    return Pace.of(settings, agenda, workers=settings.workers, forecast=forecast)


def _run(resolved: Resolved, progress: SearchProgress, console: Console, logger: str | None) -> StudyResult:
    from nas_attn.cli._progress import stoppable, warnings_on
    from nas_attn.study.run import run_study
    from nas_attn.study.setup.folder import StudyFolder
    from nas_attn.study.trial_log import TrialLog

    folder = StudyFolder.of(resolved.settings.study).path
    listener = progress if logger is None else TrialLog(logger, folder, progress)
    with (
        stoppable(lambda: console.print(_stopped(resolved, progress), soft_wrap=True)),
        progress,
        warnings_on(console),
    ):
        return run_study(resolved, listener, follow=progress.follow)


def _stopped(resolved: Resolved, progress: SearchProgress) -> str:
    """What a stopped search has found, and the command that resumes it."""
    from nas_attn.study.setup.folder import StudyFolder

    folder = StudyFolder.of(resolved.settings.study)
    storage = resolved.request.storage
    repeats = folder.settings.is_file() and storage is None
    typed = f"\n  {command('search', config=folder.settings)}" if repeats else ""
    return (
        f"{progress.so_far()}\n"
        f"Stopped. Finished trials are kept in {folder.path}; the same command resumes the search.{typed}"
    )


def _show(result: StudyResult, resolved: Resolved, console: Console) -> None:
    """Show the result."""
    from nas_attn.reporting.terminal.budgets import budget_text
    from nas_attn.reporting.terminal.ranking_table import ranking_table
    from nas_attn.wording.verdicts import answer_sentences, settled_text

    saved = resolved.settings.trials - len(result.records)
    if result.settled is not None and saved:
        console.print(settled_text(result.settled, saved), soft_wrap=True)
    said, *others = answer_sentences(result.study, result.answer)
    console.print(ranking_table(result.ranking, _TOP, said=said))
    console.print()
    ladder = () if result.course is None else result.course.ladder
    proof = resolved.settings.on_proof
    worth = result.answer.worth
    console.print(budget_text(result.records, result.ranking, ladder, on_proof=proof, worth=worth))
    if others:
        console.print("\n".join(others), soft_wrap=True)


def _show_next(result: StudyResult, resolved: Resolved, console: Console, *, verified: bool) -> None:
    """Show the best architecture and what can be done with it; nothing if there is none."""
    from nas_attn.study.database.storage import url_without_password

    if result.best is None:
        return
    study, stored = result.study, resolved.request.storage
    storage = url_without_password(stored) if stored else None
    console.print(f"\n{_best(result)}\n\nNext:", soft_wrap=True)
    for following in (
        command("rank", study, storage=storage),
        *(() if verified else (command("verify", study, storage=storage),)),
        command("report", study, o="report.html", storage=storage),
        command("export", study, pick=_other_pick(result), o="best.yaml", storage=storage),
        command("train", result.best, data=resolved.request.data, against_plain=_takes_attention(result)),
        command("dashboard", study, storage=storage),
    ):
        console.print(f"  {following}", soft_wrap=True)


def _other_pick(result: StudyResult) -> str:
    """The placement to export instead of the best: the cheaper one that is as good, otherwise the knee of the
    front."""
    cheaper = result.answer.as_good_for_less
    return "knee" if cheaper is None else f"id:{cheaper.placement.id}"


def _takes_attention(result: StudyResult) -> bool:
    """Whether the exported best architecture has attention."""
    winner = result.answer.winner
    return winner is not None and not winner.is_plain


def _best(result: StudyResult) -> str:
    """The exported best architecture, with an explanation if it is the baseline."""
    if _takes_attention(result):
        return f"Best architecture: {result.best}"
    first = command("export", result.study, pick="first", o="first.yaml")
    return (
        f"Best architecture: {result.best}, which is the baseline: no placement is significantly better.\n"
        f"To export the first placement with attention anyway: {first}"
    )
