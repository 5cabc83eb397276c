"""Join a study that others have started. Everything that is needed is in its storage, except the data."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import optuna

from nas_attn import __version__
from nas_attn.commands import command
from nas_attn.config.settings import AUTO, FIELDS, StudyRequest
from nas_attn.data import may_be_folder
from nas_attn.errors import StudyError
from nas_attn.steps import step
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.database.storage import describe_storage
from nas_attn.study.setup.begin import as_begun
from nas_attn.study.setup.changed_settings import check_settings
from nas_attn.study.setup.find import find_folder, open_folder
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import check_apart, check_storage, means_folder
from nas_attn.study.setup.request import kept_request
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.setup.study_file import write_missing_settings

_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class JoinRequest:
    """The study to join, and the settings of this machine.

    Args:
        study: its name, or its folder if it is stored there.
        storage: SQLAlchemy URL; None is SQLite in the study's folder.
        data: the folder of images and masks on this machine; None takes the folder of the study.
        device: as in a search.
        workers: as in a search.
        log_level: as in a search.
        wait_seconds: how long to wait for a study that has not started yet.
    """

    study: str
    storage: str | None = None
    data: str | None = None
    device: str = AUTO
    workers: int | Literal["auto"] = AUTO
    log_level: str = "info"
    wait_seconds: float = 0.0


def resolve_joined(request: JoinRequest) -> tuple[Resolved, StudyFolder, Ledger]:
    """The search of the study on this machine, the study's ledger, and the folder for files that are written here.

    Raises:
        NasAttnError: there is no such study, or this machine or its data do not fit it.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with step(f"looking for the study {request.study}"):
        folder, ledger = _found(request)
    asked = _request(request, folder, ledger)
    if means_folder(asked.data) and not may_be_folder(Path(asked.data)):
        raise StudyError(
            f"study '{ledger.name}': its images were in {asked.data}, which is not a folder here; "
            "say where they are with --data FOLDER"
        )
    resolved = resolve(asked)
    check_settings(ledger, resolved)
    return as_begun(resolved, ledger), folder, ledger


def _found(request: JoinRequest) -> tuple[StudyFolder, Ledger]:
    end = time.monotonic() + request.wait_seconds
    while True:
        try:
            if request.storage is None:
                folder = find_folder(request.study)
                return folder, open_folder(folder)
            return StudyFolder.of(request.study), Ledger.open(request.storage, request.study)
        except StudyError:
            if time.monotonic() >= end:
                raise
        time.sleep(_LOOK_SECONDS)


def _request(request: JoinRequest, folder: StudyFolder, ledger: Ledger) -> StudyRequest:
    """The request with which the study started, with the changes for this machine."""
    written = ledger.context.get("request")
    version = ledger.context.get("version", "an older version")
    if written is None or (unknown := sorted(set(written) - set(FIELDS))):
        why = f"has settings unknown here: {', '.join(unknown)}" if written else "lacks what workers need"
        raise StudyError(
            f"study '{ledger.name}' {why}; it was begun by nas-attn {version}, and this is {__version__}: "
            f"take the same version on all machines, or go on with {command('search')}"
        )
    data = request.data or written["data"]
    url = request.storage or folder.default_url
    check_apart(data, folder)
    check_storage(folder, url, ledger)
    folder.make()
    write_missing_settings(folder, ledger, written, url)
    return replace(
        kept_request(written),
        study=ledger.name,
        space=str(folder.space),
        data=data,
        storage=url,
        device=request.device,
        workers=request.workers,
        log_level=request.log_level,
    )


def described(resolved: Resolved, ledger: Ledger) -> str:
    """The study and the joining workers, in a line."""
    settings, plan = resolved.settings, ledger.plan
    of = f" of {plan.trials}" if plan else ""
    many = f"{settings.workers} worker{'s' if settings.workers > 1 else ''}"
    return (
        f"study '{ledger.name}' in {describe_storage(str(resolved.request.storage))}: {len(ledger.records())}{of} "
        f"trials; joined by {many} on {', '.join(settings.devices)}"
    )


def hint(resolved: Resolved, ledger: Ledger) -> str | None:
    """What to do if the study is planned for so few parallel trials that new workers mostly wait.

    Returns:
        None if there is work for all.
    """
    plan, workers = ledger.plan, resolved.settings.workers
    if plan is None or (plan.parallel > 1 and plan.parallel >= workers + len(ledger.claims().held_by_others())):
        return None
    many = f"{plan.parallel} trial{'s' if plan.parallel > 1 else ''}"
    return (
        f"study '{ledger.name}' is laid out for {many} at once, on all machines together: beside others that "
        "search it, workers here will mostly wait. To share the work, repeat the command that began it with "
        "--parallel N, where N counts the workers of all machines; searches that are running adopt it"
    )
