"""What a study and a training have recorded about a network, for its card."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_attn.architecture import Found
from nas_attn.commands import command
from nas_attn.config.settings import NONE
from nas_attn.data_card import DataCard
from nas_attn.export.subject import Subject
from nas_attn.export.words import holding_sentence
from nas_attn.losses import loss_text
from nas_attn.reporting.presentation.report_facts import report_facts
from nas_attn.training.full.run_folder import RunFolder
from nas_attn.wording.rankings import ranking_notes
from nas_attn.wording.verdicts import answer_text
from nas_attn.wording.verifications import confirmation_sentences, module_sentences

Pairs = tuple[tuple[str, str], ...]

_IN_THE_RUN = (
    "epochs",
    "steps_per_epoch",
    "batch_size",
    "crop",
    "learning_rate",
    "seed",
    "patience",
    "longest_side",
)


@dataclass(frozen=True)
class CardEvidence:
    """The content of a card in addition to the architecture file.

    Args:
        verdict: of the study; empty if there is none.
        holds: result of the verification, or how to run it, one sentence each.
        modules: what each module adds, or how to measure it, one sentence each.
        notes: what to know about the figures, one sentence each.
        tests: (name, text) pairs of a training's test: IoU x100.
        data: (name, text) pairs.
        made: (name, text) pairs: how it was found and trained.
        commands: (command, purpose) pairs.
    """

    verdict: str = ""
    holds: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tests: Pairs = ()
    data: Pairs = ()
    made: Pairs = ()
    commands: Pairs = ()


def evidence_of(subject: Subject) -> CardEvidence:
    """What is known about a subject: from its study, or else from its run and its architecture file.

    Raises:
        StudyError: the study can no longer be read.
    """
    if subject.ledger is not None:
        facts = report_facts(subject.ledger, study_file=subject.study_file)
        notes = (facts.plain_curve_text, *ranking_notes(facts.ranking))
        row = next(row for row in facts.ranking.rows if row.placement == subject.architecture.placement)
        held = facts.study, row, facts.ranking, facts.verifications
        return CardEvidence(
            verdict=f"The study: {answer_text(facts.verdict)}",
            holds=confirmation_sentences(*held),
            modules=module_sentences(*held),
            notes=tuple(filter(None, notes)),
            data=facts.data,
            made=facts.settings,
            commands=facts.commands,
        )
    found = subject.architecture.found
    holds = tuple(filter(None, [holding_sentence(subject.architecture)]))
    searched = () if found is None else tuple(_found(found, subject.architecture.multi_label))
    data = [("classes", ", ".join(subject.architecture.classes))]
    if found is not None:
        data += [("data set of the search", found.data), ("its fingerprint", found.data_fingerprint)]
    if subject.weights is None:
        return CardEvidence(holds=holds, data=tuple(data), made=searched)
    folder = RunFolder(subject.weights.parent)
    metrics, run = _json(folder.metrics), _json(folder.identity)
    data += [
        (name, str(run[key])) for name, key in (("data set", "data"), ("fingerprint", "fingerprint")) if key in run
    ]
    if "data_card" in metrics:
        data += DataCard.from_dict(metrics["data_card"]).lines()
    return CardEvidence(
        holds=holds,
        notes=_cautions(metrics),
        tests=tuple(_tests(metrics)),
        data=tuple(data),
        made=(*searched, *_training(metrics, run)),
        commands=tuple(_commands(folder, run)),
    )


def _found(found: Found, multi_label: bool) -> Iterator[tuple[str, str]]:
    yield "study", f"{found.study}: {found.trials} trials, space {found.space}, strategy {found.strategy}"
    yield "loss of the search", loss_text(found.loss, found.class_weights, found.foreground, multi_label)
    if found.folds > 1:
        yield "judged over", f"{found.folds} folds of the training and validation images"
    yield "seeds of its runs", ", ".join(map(str, found.seeds))
    yield "device of the search", found.device
    yield "searched with", f"nas-attn {found.version}, {found.date}"


def _tests(metrics: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    trained, plain = metrics.get("trained"), metrics.get("plain")
    if not trained:
        return
    names = [*metrics.get("classes", []), "mean"]
    values = [*trained["test_iou_per_class"], trained["test_iou"]]
    others = [*plain["test_iou_per_class"], plain["test_iou"]] if plain else [None] * len(values)
    for name, value, other in zip(names, values, others, strict=False):
        compared = "" if value is None or other is None else f" ({100 * (value - other):+.2f} to the baseline)"
        yield name, ("absent" if value is None else f"{100 * value:.2f}") + compared


def _cautions(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    if not metrics.get("plain"):
        return ("The baseline was not trained with the same settings, so what the attention adds is not known.",)
    return (
        "This is a single seed: with another seed, such a difference can change by a point or more, and so "
        "change its sign.",
    )


def _training(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if settings := [f"{key.replace('_', ' ')} {run[key]}" for key in _IN_THE_RUN if run.get(key) is not None]:
        yield "training", ", ".join(settings)
    if "loss" in run:
        yield "loss of the training", loss_text(run["loss"], run["class_weights"], run["foreground"])
    if metrics.get("device"):
        yield "device of the training", str(metrics["device"])
    if trained := metrics.get("trained"):
        yield (
            "weights kept",
            f"of epoch {trained['best_epoch']} of {trained['epochs']}, the best on the validation data",
        )
        yield "time", f"{trained['seconds'] / 60:.1f} minutes"


def _commands(folder: RunFolder, run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    names = ("epochs", "batch_size", "crop", "seed", "longest_side", "patience", "loss", "foreground")
    flags = {key: run.get(key) for key in names}
    if "class_weights" in run:
        flags["class_weights"] = ",".join(map(str, run["class_weights"])) or NONE
    again = command("train", folder.architecture, data="FOLDER", **flags)
    yield again, "The same training again, in another folder with -o:"


def _json(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty if it is missing or invalid, because a card says what is known."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
