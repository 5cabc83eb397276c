"""The ledger of a study for a search: created, or continued with the same settings."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from nas_attn import __version__
from nas_attn.data import card_of
from nas_attn.latencies import LatencyModel
from nas_attn.steps import step
from nas_attn.strategy.schedule.reference_architectures import reference_choices
from nas_attn.study.database.ledger import Ledger, StudyExistsError
from nas_attn.study.database.sqlite import is_missing
from nas_attn.study.setup.changed_settings import changed_settings, check_settings
from nas_attn.study.setup.find import refuse_renamed
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import check_apart, check_own
from nas_attn.study.setup.resolve import Resolved
from nas_attn.study.setup.study_file import study_values, write_settings, write_whole
from nas_attn.training.evaluation import LatencyBench, measure_latency_model

LATENCY_SECONDS = 10.0
"""Maximum time of measurements before a study's first trial."""


def begin_or_go_on(resolved: Resolved, folder: StudyFolder) -> Ledger:
    """The ledger of the study that was asked for. All processes that search it get the new plan.

    Raises:
        StudyError: the study has other settings, or cannot be stored.
    """
    with step("opening the study's database"):
        ledger = _ledger(resolved, folder)
    asked, known = resolved.request.parallel, ledger.plan
    parallel = asked or max(resolved.settings.workers, known.parallel if known else 1)
    ledger.write_plan(resolved.settings.plan(parallel))
    return ledger


def existing(resolved: Resolved) -> Ledger | None:
    """The study of that name; None if there is none.

    Raises:
        StudyError: the storage cannot be read; the study's folder contains the data, or the data contain it; or
            files in it belong to another study.
    """
    folder, url = StudyFolder.of(resolved.settings.study), resolved.url
    check_apart(resolved.request.data, folder)
    is_new = url == folder.default_url and not folder.path.is_dir()
    exists = not is_new and not is_missing(url) and Ledger.exists(url, folder.name)
    if not exists and url == folder.default_url and folder.has_database:
        refuse_renamed(folder)
    ledger = Ledger.open(url, folder.name) if exists else None
    check_own(folder, url, ledger)
    return ledger


def as_new(resolved: Resolved) -> Resolved:
    """The same search under the name NAME-2, NAME-3 ... if NAME is a study with other settings.

    It takes the first of these names that is free or has the same settings, so that the same command resumes its
    own study.
    """
    name = resolved.settings.study
    for number in itertools.count(1):
        study = name if number == 1 else f"{name[:76]}-{number}"
        renamed = replace(
            resolved,
            request=replace(resolved.request, study=study),
            settings=replace(resolved.settings, study=study),
        )
        ledger = existing(renamed)
        if ledger is None or not changed_settings(ledger, renamed):
            return renamed
    raise AssertionError("there is always another number")


def _ledger(resolved: Resolved, folder: StudyFolder) -> Ledger:
    settings, url = resolved.settings, resolved.url
    if not Ledger.exists(url, settings.study):
        write_settings(resolved, folder)
        with suppress(OSError):  # it only tells which files have changed
            write_whole(folder.data_files, json.dumps(dict(resolved.dataset.digests)))
        context = {
            **settings.context(),
            "version": __version__,
            "request": study_values(resolved, folder),
            "data card": card_of(resolved.dataset).to_dict(),
            "added costs": _added_costs(resolved),
        }
        if (latency := resolved.costs.latency) is not None:
            context["latency model"] = latency.to_dict()
        with suppress(StudyExistsError):  # somebody else has begun it at the same moment
            return Ledger.create(url, settings.study, settings.identity(), context, settings.cost)
    ledger = Ledger.open(url, settings.study)
    check_settings(ledger, resolved)
    if not folder.settings.is_file():
        write_settings(resolved, folder)
    return ledger


def _added_costs(resolved: Resolved) -> list[list[Any]]:
    """Parameters and MACs that each choice of the space adds at its location, so that a report need not count them
    again."""
    return [
        [str(location), str(spec), *resolved.costs.increment(location, spec)]
        for location, specs in resolved.settings.space.choices
        for spec in specs
        if spec.kind != "none"
    ]


def with_known_latency(resolved: Resolved) -> Resolved:
    """The search with costs that include the latency, if latency is the second objective; otherwise unchanged.

    An existing study has its own latencies and continues with the same figures. Otherwise they are measured now,
    on the first device.

    Raises:
        StudyError: the storage cannot be read.
        RuntimeError: memory has run out; and other errors of torch.
    """
    if resolved.settings.cost != "latency":
        return resolved
    ledger = existing(resolved)
    if ledger is not None:
        return as_begun(resolved, ledger)
    return resolved if resolved.costs.latency is not None else _with_latency(resolved, _measured_latency(resolved))


def as_begun(resolved: Resolved, ledger: Ledger) -> Resolved:
    """The search with the latencies with which its study started; older studies have none."""
    kept = ledger.context.get("latency model")
    return resolved if kept is None else _with_latency(resolved, LatencyModel.from_dict(kept))


def _with_latency(resolved: Resolved, model: LatencyModel) -> Resolved:
    return replace(resolved, costs=resolved.costs.with_latency(model))


def _measured_latency(resolved: Resolved) -> LatencyModel:
    settings = resolved.settings
    space = settings.space
    bench = LatencyBench(
        space.network,
        space.height,
        space.width,
        settings.budget.batch_size,
        settings.devices[0],
        settings.precision,
        LATENCY_SECONDS,
    )
    with step("timing each attention at each place"):
        return measure_latency_model(bench, reference_choices(space).items())
