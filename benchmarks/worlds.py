"""Worlds in which it is known what every placement gains: a run is drawn instead of trained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nas_attn.counts import ImageCounts
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.record import Cost, CurvePoint, Outcome, Score
from nas_attn.space import SearchSpace
from nas_attn.strategy.evaluation import Evaluation

_PLAIN_IOU = 0.8
_STEPS_PER_HALF = 60
_PIXELS = 4096
_CLASSES = 2
_SPARSE_EFFECTS = (1.2, 0.5, 0.5, 0.3, -0.5, -0.8)
_N_HELPFUL = 3

Choice = tuple[Location, AttentionSpec]


@dataclass(frozen=True)
class World:
    """What placements gain, and how loud runs are. All in IoU points.

    Args:
        name: of the world.
        dense: standard deviation between placements that attend everywhere, from an effect of every choice.
        sparse: factor of the six effects that are not 0; 0 without them.
        own: standard deviation of what a placement gains by itself, whatever its attentions gain elsewhere.
        rare: what one placement in thirty gains by itself.
        plateau: what any of three attentions gains, wherever it stands; a second one adds nothing.
        paired_noise: standard deviation of a paired difference.
        seed_noise: of what a seed adds to every run.
        luck: of what the attentions of a placement that attends everywhere gain with a seed, over a run's noise.
        collapse: share of runs that collapse, of the plain U-Net's and of all others'.
        risky: share of runs that collapse of placements with a certain choice.
        risky_gain: what this choice adds to the other runs.
        bad_seed: with this seed all runs collapse; None for none.
        images: groups of validation images, and as many of test images; 0 where they are not counted.
        image_noise: of what one image adds to one placement's difference to the plain U-Net.
    """

    name: str
    dense: float = 0.0
    sparse: float = 0.0
    own: float = 0.0
    rare: float = 0.0
    plateau: float = 0.0
    paired_noise: float = 0.4
    seed_noise: float = 0.8
    luck: float = 0.0
    collapse: float = 0.0
    risky: float = 0.0
    risky_gain: float = 0.0
    bad_seed: int | None = None
    images: int = 0
    image_noise: float = 0.0

    def draw(self, space: SearchSpace, number: int) -> Truth:
        """One study's effects.

        Args:
            space: the placements.
            number: of the study.
        """
        return Truth(self, space, number)


WORLDS = {
    world.name: world
    for world in (
        World("null"),
        World("null-loud", paired_noise=0.9),
        World("leaf", dense=0.25, paired_noise=0.85),
        World("sparse", sparse=1.0),
        World("large", sparse=4.0),
        World("sparse-loud", sparse=1.0, paired_noise=0.9),
        World("dense", dense=0.8),
        World("own", own=0.5, paired_noise=0.85),
        World("rare", rare=1.0, paired_noise=0.85),
        World("plateau", plateau=5.0),
        World("dense-luck", dense=0.8, luck=0.7),
        World("null-luck", luck=0.7),
        World("null-collapse-1", collapse=0.01),
        World("null-collapse-5", collapse=0.05),
        World("dense-collapse-5", dense=0.8, collapse=0.05),
        World("bad-seed", bad_seed=2),
        World("risky", risky=0.1, risky_gain=0.6),
        World("null-images-8", images=8, image_noise=1.0),
        World("null-images-96", images=96, image_noise=3.0),
        World("dense-images-24", dense=0.8, images=24, image_noise=1.5),
    )
}


@dataclass(frozen=True, eq=False)
class Truth:
    """A world in which one study is played.

    Args:
        world: of which it is one.
        space: the placements.
        number: of the study.
        data: of the images on which runs are judged: what an image adds to a placement is its own.
    """

    world: World
    space: SearchSpace
    number: int
    data: str = "validation"

    @property
    def on_test_data(self) -> Truth:
        """The same placements and runs, judged on images that no search has seen."""
        return replace(self, data="test")

    def gain(self, placement: Placement) -> float:
        """True difference to the plain U-Net in units of IoU, without collapsed runs."""
        effects = sum(self._effects.get(choice, 0.0) for choice in placement.attended)
        helps = any(spec in self._helpful for _, spec in placement.attended)
        return (effects + self.world.plateau * helps + self._own(placement)) / 100

    def attainable(self, allowed: Callable[[Placement], bool]) -> float:
        """The most that attentions can gain together, in units of IoU: each by itself keeps the limits.

        What placements gain by themselves is left out: nobody finds it but by trying each.

        Args:
            allowed: whether a placement keeps the limits of its space.
        """
        best: dict[Location, float] = {}
        for (location, spec), effect in self._effects.items():
            if effect > best.get(location, 0.0) and allowed(self.space.plain.replace(location, spec)):
                best[location] = effect
        return (sum(best.values()) + self.world.plateau) / 100

    def outcome(self, evaluation: Evaluation, cost: Cost) -> Outcome:
        """What a run shows."""
        placement, seed = evaluation.placement, evaluation.seed
        points = self.world.seed_noise * self._normal("seed", seed)
        points += self.world.paired_noise / 2**0.5 * self._normal("run", seed, placement.id)
        points += self._luck(placement, seed) + 100 * self.gain(placement)
        points -= 2.0 * _STEPS_PER_HALF / evaluation.budget.steps
        points -= self._drop(placement, seed)
        return self._outcome(_PLAIN_IOU + points / 100, placement, cost)

    @cached_property
    def _choices(self) -> list[Choice]:
        """All attentions at all locations, those first that matter in a sparse world."""
        choices = [(location, spec) for location, specs in self.space.choices for spec in specs if spec != NONE]
        return [choices[index] for index in self._generator("choices").permutation(len(choices))]

    @cached_property
    def _helpful(self) -> frozenset[AttentionSpec]:
        """Those of which any brings what all three together do."""
        return frozenset([*dict.fromkeys(spec for _, spec in self._choices)][:_N_HELPFUL])

    @cached_property
    def _effects(self) -> dict[Choice, float]:
        """Of every choice, in IoU points."""
        world, generator = self.world, self._generator("effects")
        sd = world.dense / len(self.space.choices) ** 0.5
        effects = {choice: sd * float(generator.standard_normal()) for choice in self._choices}
        for choice, effect in zip(self._choices, _SPARSE_EFFECTS, strict=False):
            effects[choice] += world.sparse * effect
        effects[self._choices[0]] += world.risky_gain
        return effects

    def _own(self, placement: Placement) -> float:
        """What a placement gains beside the sum of its attentions' effects, in IoU points."""
        if not placement.attended:
            return 0.0
        is_rare = self._generator("rare", placement.id).random() < 1 / 30 if self.world.rare else False
        own = self.world.own * self._normal("own", placement.id) if self.world.own else 0.0
        return float(own + self.world.rare * is_rare)

    def _luck(self, placement: Placement, seed: int) -> float:
        if not self.world.luck:
            return 0.0
        sd = self.world.luck * self.world.paired_noise / 2**0.5 / len(self.space.choices) ** 0.5
        lucks = [self._normal("luck", seed, str(location), str(spec)) for location, spec in placement.attended]
        return float(sd * sum(lucks))

    def _drop(self, placement: Placement, seed: int) -> float:
        """IoU points that a run falls by because it collapses."""
        world = self.world
        generator = self._generator("collapse", seed, placement.id)
        risk = world.risky if world.risky and self._choices[0] in placement.attended else world.collapse
        drop = generator.uniform(15, 45)
        if seed == world.bad_seed:
            return 30 + 3 * generator.standard_normal()
        return drop if generator.random() < risk else 0.0

    def _outcome(self, iou: float, placement: Placement, cost: Cost) -> Outcome:
        counts = self._counts(iou, placement) if self.world.images else None
        if counts is not None:
            intersections, unions = counts.unpack()
            iou = float((intersections.sum(0) / unions.sum(0)).mean())
        iou = min(max(iou, 0.0), 1.0)
        return Outcome(Score(iou, (iou,) * _CLASSES, 0.5, counts), cost, (CurvePoint(1, 0.5),), 1.0)

    def _counts(self, iou: float, placement: Placement) -> ImageCounts:
        """Of images that are a draw: what each adds to a placement is the same in all of its runs."""
        world = self.world
        shared = 5 * self._generator("images", self.data).standard_normal(world.images)
        own = np.zeros(world.images)
        if placement.attended:
            own = world.image_noise * self._generator("own images", self.data, placement.id).standard_normal(
                world.images
            )
        hit = ((iou + (shared + own) / 100).clip(0.01, 0.99) * _PIXELS).round().astype(np.int64)
        counts = np.repeat(hit[:, None], _CLASSES, axis=1)
        return ImageCounts.of(counts, np.full_like(counts, _PIXELS))

    def _normal(self, *what: str | int) -> float:
        return float(self._generator(*what).standard_normal())

    def _generator(self, *what: str | int) -> np.random.Generator:
        """Random numbers that depend on the study and on what is asked, and on nothing else."""
        digest = hashlib.sha256("|".join(map(str, (self.number, *what))).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))
