"""Architecture files of a study: for any row of its ranking, and for its best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas_attn import __version__
from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.analysis.convergence import ranked_convergence
from nas_attn.analysis.verdict import StudyVerdict
from nas_attn.analysis.verification import verification_of
from nas_attn.architecture import Architecture, Found, Results, Verified, write_architecture
from nas_attn.budget import Budget
from nas_attn.losses import ASKED
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import network_from_dict
from nas_attn.record import State, TrialRecord
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.verified import read_verifications


def architecture_of(
    ledger: Ledger, records: Sequence[TrialRecord], ranking: Ranking, row: RankedPlacement
) -> Architecture:
    """A placement of a study, with everything that is needed to build it, and how it was found.

    Args:
        ledger: of the study.
        records: its trials.
        ranking: of these trials.
        row: of the placement.
    """
    identity, context = ledger.identity, ledger.context
    plan = ledger.plan
    curve = ranked_convergence(records, ranking, plan.worth if plan else None)
    verifications = read_verifications(ledger)
    verified = verification_of(row, ranking, verifications)
    return Architecture(
        network=network_from_dict(identity["space"]["network"]),
        placement=row.placement,
        classes=tuple(context["classes"]),
        mean=tuple(context["mean"]),
        std=tuple(context["std"]),
        image_size=context["image_size"],
        found=Found(
            study=ledger.name,
            space=identity["space"]["name"],
            strategy=identity["strategy"],
            trials=sum(record.state is State.COMPLETE for record in records),
            budget=ranking.budget or Budget.from_dict(identity["budget"]),
            seeds=row.seeds,
            data=identity["data"],
            data_fingerprint=identity["data fingerprint"],
            device=row.cost.device,
            version=__version__,
            date=datetime.now(UTC).date().isoformat(),
            converged=None if curve is None else curve.converged,
            folds=identity.get("folds", 1),
            metric=ranking.metric.name,
            **_training(identity["recipe"]),
        ),
        multi_label=bool(identity["recipe"].get("multi_label", False)),
        results=Results.of(row, ranking.latencies),
        verified=Verified.of(verified, len(verifications)) if verified else None,
    )


def write_best(
    ledger: Ledger, records: Sequence[TrialRecord], answer: StudyVerdict, folder: StudyFolder
) -> Path | None:
    """Write the placement that a study's answer names, otherwise the baseline, into the study's folder.

    Args:
        ledger: of the study.
        records: its trials.
        answer: from these, and from the verifications.
        folder: of the study.
    Returns:
        The file; None if no trial is complete, and then none is written.
    """
    if answer.winner is None:
        return None
    found = architecture_of(ledger, records, answer.ranking, answer.winner)
    write_architecture(found, folder.best, catalogue())
    return folder.best


def _training(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """The loss and the crops of a study's recipe; missing values mean the defaults."""
    asked = {name: recipe[name] for name in ASKED if name in recipe}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in asked.items()}
