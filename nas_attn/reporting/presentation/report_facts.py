"""Collect the content of a report from a study."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import optuna

from nas_attn import __version__
from nas_attn.analysis import Ranking
from nas_attn.analysis.convergence import plain_convergence
from nas_attn.analysis.effects import study_effects
from nas_attn.budget import Budget
from nas_attn.commands import command
from nas_attn.data_card import DataCard
from nas_attn.losses import UNASKED, loss_text
from nas_attn.metric import MEAN_IOU
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.record import State, TrialRecord
from nas_attn.reporting.page import AddedCost, StudyFacts
from nas_attn.space import SearchSpace
from nas_attn.space.read import space_from_dict
from nas_attn.study.answer import answer_by, ranking_of
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.verified import read_verifications
from nas_attn.wording.budgets import convergence_sentence
from nas_attn.wording.numbers import counted
from nas_attn.wording.placements import role_word

_UNTOLD = ("space", "data", "data fingerprint")
_HOUR = 3600


def report_facts(
    ledger: Ledger,
    *,
    cost: str | None = None,
    study_file: Path | None = None,
) -> StudyFacts:
    """The content of a report.

    Args:
        ledger: of the study.
        cost: second axis of the front; the default is the study's.
        study_file: that repeats the search; None if it is not known.
    Raises:
        StudyError: the study cannot be read.
        UsageError: the cost is unknown.
    """
    records = ledger.records()
    ranking, verifications = ranking_of(ledger, records, cost), read_verifications(ledger)
    space = study_space(ledger)
    verdict = answer_by(ledger, records, ranking, verifications)
    budget = ranking.budget or Budget.from_dict(ledger.identity["budget"])
    curve = verdict.curve or plain_convergence(records, budget, ranking.noise, verdict.worth)
    return StudyFacts(
        study=ledger.name,
        network=space.network,
        records=records,
        verdict=verdict,
        effects=study_effects(records),
        added_costs=_added_costs(ledger),
        plain_curve=curve.points,
        plain_curve_text=convergence_sentence(curve),
        settings=tuple(_settings(ledger, space, records, ranking)),
        data=tuple(_data(ledger)),
        commands=tuple(_commands(ledger.name, study_file)),
        verifications=verifications,
        remarks=_metric(ranking),
        classes=tuple(ledger.context.get("classes", ())),
    )


def study_space(ledger: Ledger) -> SearchSpace:
    """The search space of a study, as it was resolved."""
    return space_from_dict(ledger.identity["space"], catalogue(), where=f"study '{ledger.name}'")


def _added_costs(ledger: Ledger) -> tuple[AddedCost, ...]:
    """The costs as they were counted when the study started."""
    return tuple(
        AddedCost(Location.parse(location), AttentionSpec.parse(spec), parameters, macs)
        for location, spec, parameters, macs in ledger.context.get("added costs", ())
    )


def _metric(ranking: Ranking) -> tuple[str, ...]:
    """What the reader has to know if the study's metric is not mean IoU."""
    if ranking.metric.name == MEAN_IOU:
        return ()
    return (f"{ranking.metric.heading} on this page is the {ranking.metric.title}. {ranking.metric.definition}.",)


def _settings(
    ledger: Ledger, space: SearchSpace, records: Sequence[TrialRecord], ranking: Ranking
) -> list[tuple[str, str]]:
    network, done = space.network, [record.outcome for record in records if record.outcome is not None]
    return [
        ("search space", f"{space.name}: {len(space.locations)} locations, {space.size:,} placements"),
        (
            "network",
            f"{network.headline}; costs of one {network.input_name} of {space.height}x{space.width}",
        ),
        ("trials", _trials(records)),
        ("ranked", f"{len(ranking.rows):,} placements; {ranking.budget or 'none'}"),
        ("seeds", ", ".join(map(str, sorted({record.seed for record in records})))),
        *((name, _shown(value)) for name, value in ledger.identity.items() if name not in _UNTOLD),
        ("loss", _loss(ledger.identity["recipe"])),
        ("devices", _counts(outcome.cost.device for outcome in done)),
        ("training steps by", _counts(outcome.engine for outcome in done)),
        ("time", f"{sum(outcome.seconds for outcome in done) / _HOUR:.2f} hours of trials, all workers added up"),
        ("searched with", _counts(f"nas-attn {record.version}" for record in records)),
        (
            "written with",
            f"nas-attn {__version__}, Python {platform.python_version()}, torch {version('torch')}, "
            f"Optuna {optuna.__version__}, on {datetime.now(UTC).date().isoformat()}",
        ),
    ]


def _loss(recipe: Mapping[str, Any]) -> str:
    """The loss of every run. A recipe without one belongs to a study with the default loss."""
    said: dict[str, Any] = {name: recipe.get(name, usual) for name, usual in UNASKED.items()}
    return loss_text(**said)


def _trials(records: Sequence[TrialRecord]) -> str:
    states = Counter(record.state for record in records)
    roles = Counter(record.role for record in records)
    by_state = ", ".join(f"{states[state]:,} {state}" for state in State if states[state])
    by_role = ", ".join(counted(number, role_word(role)) for role, number in roles.items())
    return f"{len(records):,}: {by_state or 'none yet'}" + (f"; {by_role}" if by_role else "")


def _data(ledger: Ledger) -> list[tuple[str, str]]:
    identity, context = ledger.identity, ledger.context
    return [
        ("data set", str(identity["data"])),
        ("fingerprint", str(identity["data fingerprint"])),
        *DataCard.from_dict(context["data card"]).lines(),
        ("mean of each channel", ", ".join(f"{value:.4g}" for value in context["mean"])),
        ("standard deviation", ", ".join(f"{value:.4g}" for value in context["std"])),
    ]


def _commands(study: str, study_file: Path | None) -> list[tuple[str, str]]:
    found = []
    if study_file is not None:
        go_on = command("search", config=study_file)
        again = command("search", config=study_file, study=f"{study}-again")
        found = [
            (again, "The same search again, under another name:"),
            (go_on, "Continue this study, or print its result:"),
        ]
    return [
        *found,
        (command("rank", study, csv=True), "Every row of the ranking:"),
        (command("verify", study, ablate=True), "Whether its gain is confirmed, and what each module adds:"),
        (command("export", study, o="best.yaml"), "The first placement as a file, to train it in full:"),
    ]


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_shown, value))
    return "none" if value is None else str(value)


def _counts(texts: Iterable[str]) -> str:
    counts = Counter(filter(None, texts))
    return "; ".join(text if len(counts) == 1 else f"{text} ({number:,})" for text, number in counts.most_common())
