"""The resolved settings of a search, the identity of a study, and its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nas_attn.budget import PLAIN, SCRATCH, Budget, rungs
from nas_attn.losses import UNSAID
from nas_attn.metric import MEAN_IOU
from nas_attn.models.kind import start_versions, unsaid_version

if TYPE_CHECKING:  # they import torch, and a ranking reads identities only
    from nas_attn.space import Ceiling, SearchSpace
    from nas_attn.training import Precision, Recipe
    from nas_attn.training.evaluation import DataSource


@dataclass(frozen=True)
class StudySettings:
    """Everything that decides which trials a study has and what they find.

    Args:
        study: its name.
        space: the placements, with the network's sizes.
        source: of the data.
        data_name: name of the data set.
        classes: names of the classes.
        mean: of each image channel, in pixel units.
        std: of each image channel, in pixel units.
        fingerprint: of the data.
        budget: of every trial that is ranked; if it has to be found, the budget at which the doubling starts.
        strategy: how placements are proposed.
        cost: name of the second objective.
        seed: of all randomness.
        finalists: share of the trials for the finals, in which the leading placements run with fresh seeds.
        precision: number format and memory layout.
        recipe: how every trial is trained.
        devices: of the workers, in turn.
        workers: number of parallel trials on this machine.
        parallel: number of parallel trials on all machines together.
        trials: total number of trials of the study.
        n_screening_seeds: number of seeds that proposals take in turn; ``seed`` is the first of them.
        find_budget: whether the ranked budget is found by doubling it until differences have settled.
        ladder: steps of the rungs below that budget, ascending; ``auto`` takes a ninth and a third of it, once
            these are shown to predict it.
        ladder_start: where the runs of these rungs start: from ``scratch``, or from the ``plain`` U-Net's weights.
        timeout: seconds after which no further trial starts; None for no limit.
        stop: whether the study ends once it is settled that a placement gains enough to matter, or none does.
        worth: smallest gain that matters, in units of the metric; None lets the noise decide.
        outside: the user's own parts, with the ``module:name`` of each.
        metric: name of the first objective.
        folds: the fold of each training and then of each validation image, or clip; empty if the data's own split
            is used.
        split: whether a batch runs in parts when memory runs out, if that does not change the result.
        max_latency: ceiling of the latency, in whole milliseconds or relative to the baseline's; None if there is
            none.
    """

    study: str
    space: SearchSpace
    source: DataSource
    data_name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    budget: Budget
    strategy: str
    cost: str
    seed: int
    finalists: float
    precision: Precision
    recipe: Recipe
    devices: tuple[str, ...]
    workers: int
    trials: int
    parallel: int = 1
    n_screening_seeds: int = 1
    find_budget: bool = False
    ladder: tuple[int, ...] | Literal["auto"] = ()
    ladder_start: Literal["scratch", "plain"] = SCRATCH
    timeout: float | None = None
    split: bool = False
    metric: str = MEAN_IOU
    folds: tuple[int, ...] = ()
    outside: tuple[tuple[str, str], ...] = ()
    stop: bool = False
    worth: float | None = None
    max_latency: Ceiling | None = None

    @property
    def n_folds(self) -> int:
        """Number of networks that a trial trains."""
        return max(self.folds, default=0) + 1

    @property
    def screening_seeds(self) -> tuple[int, ...]:
        """The seeds of the proposals, in their order."""
        return tuple(range(self.seed, self.seed + self.n_screening_seeds))

    def ladder_below(self, top: Budget) -> tuple[Budget, ...]:
        """All rungs, the shortest first.

        Args:
            top: the last of them.
        """
        return rungs(self.ladder, top, pretrained=self.ladder_start == PLAIN)

    @property
    def on_proof(self) -> bool:
        """Whether placements start with short runs only once these are shown to predict full ones."""
        return self.ladder == "auto"

    @property
    def device_kind(self) -> str:
        """``cpu`` or ``cuda``."""
        return self.devices[0].partition(":")[0]

    def plan(self, parallel: int | None = None) -> Plan:
        """The plan of the study.

        Args:
            parallel: number of parallel trials, instead of the settings'.
        """
        return Plan(self.trials, parallel or self.parallel, self.timeout, stop=self.stop, worth=self.worth)

    def identity(self) -> dict[str, Any]:
        """Settings that must not change while a study continues, as plain values.

        The number of trials may grow, and the workers and the place of the data may change.
        """
        asked: dict[str, Any] = {"find budget": True} if self.find_budget else {}
        if self.ladder:
            asked["ladder"] = list(self.ladder) if isinstance(self.ladder, tuple) else self.ladder
            if self.ladder_start != SCRATCH:
                asked["ladder start"] = self.ladder_start
        if self.n_screening_seeds > 1:
            asked["screening seeds"] = self.n_screening_seeds
        if self.folds:
            asked["folds"] = self.n_folds
        if self.max_latency is not None:
            asked["max latency"] = str(self.max_latency)
        if self.split:
            asked["out of memory"] = "split"
        if self.outside:
            asked["outside"] = dict(self.outside)
        kinds = {kind.name: kind for kind in self.space.kinds}
        asked |= start_versions((spec for _, specs in self.space.choices for spec in specs), kinds)
        return {
            "space": self.space.to_dict(),
            "data": self.data_name,
            "data fingerprint": self.fingerprint,
            "budget": self.budget.to_dict(),
            **asked,
            "strategy": self.strategy,
            "cost": self.cost,
            "metric": self.metric,
            "seed": self.seed,
            "finalists": self.finalists,
            "precision": str(self.precision),
            "recipe": self.recipe.to_dict(),
            "device": self.device_kind,
        }

    def context(self) -> dict[str, Any]:
        """Settings that an export of the study needs in addition to its identity, as plain values."""
        return {"classes": self.classes, "mean": self.mean, "std": self.std, "image_size": self.budget.image_size}


@dataclass(frozen=True)
class Plan:
    """How far a study goes, as its latest search has set it.

    Args:
        trials: total number of trials of the study.
        parallel: number of parallel trials on all machines together.
        timeout: seconds that its trials may take together, divided by ``parallel``; None for no limit.
        stop: whether the study ends once it is settled that a placement gains enough to matter, or none does.
        worth: smallest gain that matters, in units of the metric; None lets the noise decide.
    """

    trials: int
    parallel: int
    timeout: float | None = None
    stop: bool = False
    worth: float | None = None

    @property
    def unseen(self) -> int:
        """Number of the latest trials that do not influence the next one.

        A single worker uses all trials. Of several workers, one may be busy with an expensive placement, while the
        others finish up to this many cheap ones.
        """
        return 0 if self.parallel == 1 else 3 * self.parallel - 1


def ladder_of(identity: Mapping[str, Any], top: Budget) -> tuple[Budget, ...]:
    """All rungs of a study, the shortest first.

    Args:
        identity: of the study.
        top: the last of them.
    """
    return rungs(identity.get("ladder", ()), top, pretrained=identity.get("ladder start") == PLAIN)


def is_on_proof(identity: Mapping[str, Any]) -> bool:
    """Whether placements of a study start with short runs only once these are shown to predict full ones."""
    return identity.get("ladder") == "auto"


@dataclass(frozen=True)
class Difference:
    """A setting in which two identities differ; prints ``budget.steps was 200 and is now 100``.

    Args:
        name: of the setting, with the names of the settings that contain it.
        before: its value; None if it had none.
        now: likewise.
    """

    name: str
    before: object
    now: object

    def __str__(self) -> str:
        return f"{self.name} was {_short(self.before)} and is now {_short(self.now)}"


_UNSAID = {
    "find budget": False,
    "ladder start": SCRATCH,
    "screening seeds": 1,
    "out of memory": "fail",
    "space.network.frames": 1,
    **{f"recipe.{name}": value for name, value in UNSAID.items()},
}
"""Values of settings that an identity leaves out."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any], path: str = "") -> list[Difference]:
    """The settings in which two identities differ.

    If the spaces differ, versions of starts are not compared: kinds that only one of them has do not matter.
    """
    found, other_space = [], old.get("space") != new.get("space")
    for name in [*old, *(name for name in new if name not in old)]:
        whole = f"{path}{name}"
        if other_space and unsaid_version(whole) is not None:
            continue
        before, after = (side.get(name, _UNSAID.get(whole, unsaid_version(whole))) for side in (old, new))
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{whole}.")
        elif before != after:
            found.append(Difference(whole, before, after))
    return found


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:60]}..."
