"""Evaluation by training: build, initialise, train, score and measure a placement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nas_attn.budget import Budget
from nas_attn.clips import clip_numbers
from nas_attn.data import Dataset
from nas_attn.data.folds import parted
from nas_attn.errors import MachineError
from nas_attn.metric import MEAN_IOU
from nas_attn.models.described_network import Network
from nas_attn.models.placement import Placement
from nas_attn.record import Cost, CurvePoint, Outcome, Score
from nas_attn.training import (
    DeviceImages,
    GraphPool,
    ModuleHooks,
    Precision,
    Recipe,
    Segmenter,
    Stamp,
    TrainedRun,
    add_gradients,
    fresh_network,
    loss_of,
    start_at_frequencies,
    train_run,
    why_whole,
)
from nas_attn.training.evaluation.cost_table import CostTable, ghost_of
from nas_attn.training.evaluation.data_source import DataSource, PackedSets, pack_sets, read_sets
from nas_attn.training.evaluation.pretrained import Weights, kept_weights, start_from
from nas_attn.training.metrics import device_name, is_out_of_memory, measure_latency_ms, measure_peak_memory_mib
from nas_attn.training.scoring import JudgedImages, judge_images


@dataclass(frozen=True)
class TrainingEvaluator:
    """(placement, budget, seed) -> Outcome, by one complete run on one device.

    The data are read, or mapped, at the first evaluation and stay on the device. The score is a pure function of
    placement, budget, seed, data and kind of device; the times are not.

    Args:
        network: without its attention.
        source: the data; its images must have the network's channels and classes.
        device: such as ``cpu`` or ``cuda:0``.
        precision: number format and memory layout.
        recipe: how to train.
        cost_size: H and W of the image whose costs are measured; None uses the size of the training crop.
        packed: folder in which ``write_sets`` has packed the data; None reads the source. All workers share the
            pretrained weights that are kept there.
        metric: its value is the score.
        split: if memory runs out, split the batch into two parts, then four and so on; only for a network whose
            result does not depend on the split.
        statistics: mean and standard deviation of each channel, in pixel units, for a network whose weights need
            others than the data's.
        folds: the fold of each training image or clip, then of each validation image or clip. Each fold is held
            out in turn, and the score is over all images, each judged by the network that has not seen it. Empty
            for the split of the data.
        held_out: name of the fold that this evaluator judges alone; empty for the split of the data.
    """

    network: Network
    source: DataSource
    device: str = "cpu"
    precision: Precision = field(default_factory=Precision)
    recipe: Recipe = field(default_factory=Recipe)
    cost_size: tuple[int, int] | None = None
    packed: str | None = None
    split: bool = False
    metric: str = MEAN_IOU
    statistics: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    folds: tuple[int, ...] = ()
    held_out: str = ""

    def __call__(self, placement: Placement, budget: Budget, seed: int) -> Outcome:
        """Train and score one placement.

        Raises:
            DivergedError: the run's loss or weights stopped being finite.
            NetworkError: an image is too small for the network.
            MachineError: the images cannot be used, or their files changed during the run.
            RuntimeError: memory has run out; also other errors of torch.
        """
        started, parts = time.perf_counter(), 1
        try:
            while (outcome := self._evaluated(placement, budget, seed, parts)) is None:
                parts *= 2
                if self.device != "cpu":
                    torch.cuda.empty_cache()
        finally:
            self._check_files()
        return replace(outcome, seconds=time.perf_counter() - started)

    def _evaluated(self, placement: Placement, budget: Budget, seed: int, parts: int) -> Outcome | None:
        """The outcome with batches in ``parts`` parts; None if memory runs out and more parts may help."""
        started = time.perf_counter()
        try:
            module, run, score = self._scored(placement, budget, seed, parts)
            cost = self._cost(placement, module, budget, parts)
        except (RuntimeError, MemoryError) as error:
            if self.split and is_out_of_memory(error) and 2 * parts <= budget.batch_size:
                if (why := why_whole(ghost_of(self.network, placement))) is None:
                    return None
                error.add_note(f"its batch was not split, since {why}")
            raise
        return Outcome(score, cost, run.curve, time.perf_counter() - started, run.engine)

    def _scored(
        self, placement: Placement, budget: Budget, seed: int, parts: int
    ) -> tuple[nn.Module, TrainedRun, Score]:
        """A trained network, its run and its score; with folds the last network, mean run and pooled score."""
        runs, judged = [], []
        for one in self.in_folds or [self]:
            module, run = one._trained(placement, budget, seed, parts)
            runs.append(run)
            judged.append(one._judged(module))
        if not self.folds:
            return module, run, judged[0].score(self._sets.val.lengths, self.metric)
        pool = JudgedImages.of_folds(judged, self._images_in_folds)
        return module, _mean_run(runs), pool.score(self._pooled_lengths, self.metric)

    @cached_property
    def in_folds(self) -> tuple[TrainingEvaluator, ...]:
        """One evaluator per fold: train on all other folds, judge this one. Empty for the data's own split."""
        number = max(self.folds, default=-1) + 1
        found = []
        for fold in range(number):
            one = replace(self, folds=(), held_out=f"{fold + 1} of {number}")
            one.__dict__["_sets"] = self._sets.in_fold(self.folds, fold)
            one.__dict__["_graph_pool"] = self._graph_pool
            found.append(one)
        return tuple(found)

    @property
    def _pooled_lengths(self) -> tuple[int, ...]:
        return (*self._sets.train.lengths, *self._sets.val.lengths)

    @property
    def _images_in_folds(self) -> list[list[int]]:
        """For each fold, the numbers of its images in the whole set."""
        of_image = [self.folds[clip] for clip in clip_numbers(self._pooled_lengths)]
        return [parted(of_image, fold)[1] for fold in range(max(self.folds) + 1)]

    def trained(self, placement: Placement, budget: Budget, seed: int) -> nn.Module:
        """The network that an evaluation with the same arguments scores, in eval mode.

        Raises:
            DivergedError: the run's loss or weights stopped being finite.
        """
        return self._trained(placement, budget, seed)[0]

    def score(self, module: nn.Module) -> Score:
        """The score of a trained network on the validation set."""
        return self._judged(module).score(self._sets.val.lengths, self.metric)

    def _judged(self, module: nn.Module) -> JudgedImages:
        val = self._sets.val
        return judge_images(self.segmenter(module), val, self.network.classes, loss_of(self.recipe, val.device))

    def segmenter(self, module: nn.Module) -> Segmenter:
        """The segmenter that applies a trained network to whole images."""
        images = self._sets.val
        least, multi_label = self.network.min_image_size, self.recipe.multi_label
        return Segmenter(module, images.mean, images.std, least, self.precision, multi_label)

    @property
    def validation(self) -> DeviceImages:
        """The validation set, on the device."""
        return self._sets.val

    def __getstate__(self) -> dict[str, Any]:
        """The fields alone, to send to a worker: the worker reads the data itself."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def dataset(self) -> Dataset:
        """The data, read once."""
        return self.source.load()

    @cached_property
    def _sets(self) -> PackedSets:
        try:
            sets = self._read_sets()
            return sets if self.statistics is None else sets.normalised(*self.statistics)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise MachineError(f"{self.device} has no room for the images: {error}") from error

    @cached_property
    def _graph_pool(self) -> GraphPool | None:
        device = torch.device(self.device)
        return GraphPool(device) if device.type == "cuda" else None

    @cached_property
    def _costs(self) -> dict[tuple[int, int], CostTable]:
        return {}

    @cached_property
    def _stamps(self) -> list[Stamp]:
        """Stamps of the packed files, if they are used."""
        return []

    def _read_sets(self) -> PackedSets:
        device = torch.device(self.device)
        if not self.packed:
            return pack_sets(self.dataset, device, self.network.frames)
        stamp = Stamp(Path(self.packed))
        sets = read_sets(Path(self.packed), device)
        self._stamps.append(stamp)
        return sets

    def _check_files(self) -> None:
        """Raise if packed files have changed, and drop everything that was read or computed from them."""
        try:
            for stamp in self._stamps:
                stamp.check()
        except MachineError:
            self._stamps.clear()
            self._plain.clear()
            for kept in ("_sets", "in_folds"):
                self.__dict__.pop(kept, None)
            raise

    def _trained(
        self, placement: Placement, budget: Budget, seed: int, parts: int = 1
    ) -> tuple[nn.Module, TrainedRun]:
        module, sets, recipe = self._module(placement, seed), self._sets, self.recipe
        if (before := budget.of_pretraining) is not None:
            start_from(module, self._plain_weights(before, seed, parts))
            recipe = recipe.after_pretraining
        run = train_run(
            module,
            sets.train,
            budget,
            seed,
            recipe=recipe,
            precision=self.precision,
            pool=self._graph_pool,
            parts=parts,
        )
        return module, run

    def _plain_weights(self, budget: Budget, seed: int, parts: int) -> Weights:
        """Weights of the baseline after its own run: those that the reference run of this budget and seed has."""
        if (budget, seed) not in self._plain:
            self._plain[budget, seed] = kept_weights(
                Path(self.packed) / self._plain_name(budget, seed) if self.packed else None,
                lambda: self._trained(self.network.plain, budget, seed, parts)[0],
            )
        return self._plain[budget, seed]

    def _plain_name(self, budget: Budget, seed: int) -> str:
        """Name of the weights file: a hash of all that decides them but the data, which have their own folder."""
        settings = asdict(self.network), budget.to_dict(), self.recipe.to_dict(), str(self.precision)
        held_out = (self.held_out,) if self.held_out else ()
        decisive = (*settings, torch.device(self.device).type, seed, *held_out)
        return f"plain-{sha256(repr(decisive).encode()).hexdigest()[:16]}.safetensors"

    @cached_property
    def _plain(self) -> dict[tuple[Budget, int], Weights]:
        return {}

    def _module(self, placement: Placement, seed: int) -> nn.Module:
        module = fresh_network(self.network, placement, seed)
        if self.recipe.class_prior:
            start_at_frequencies(module, *self._sets.train.class_counts)
        return self.precision.place(module, torch.device(self.device))

    def _cost(self, placement: Placement, module: nn.Module, budget: Budget, parts: int) -> Cost:
        """Operations and latency for one image or clip; memory of one training step."""
        device = torch.device(self.device)
        height, width = self.cost_size or (budget.image_size, budget.image_size)
        shape = (self.network.frames, self.network.in_channels, height, width)
        if (height, width) not in self._costs:
            self._costs[height, width] = CostTable(self.network, height, width)
        return replace(
            self._costs[height, width](placement),
            latency_ms=measure_latency_ms(module, shape, device, warmups=2, repeats=9),
            peak_memory_mib=self._peak_memory_mib(module, budget, parts),
            device=device_name(device),
        )

    def _peak_memory_mib(self, module: nn.Module, budget: Budget, parts: int) -> float | None:
        device = torch.device(self.device)
        images = budget.batch_size * self.network.frames
        shape = (images, self.network.in_channels, budget.image_size, budget.image_size)
        inputs = self.precision.arrange(torch.zeros(shape, device=device))
        masks = torch.zeros(shape[0], *shape[2:], dtype=torch.uint8, device=device)
        loss, multi_label = loss_of(self.recipe, device), self.recipe.multi_label
        hooks = ModuleHooks(module, steps=1, seed=0, loss=loss, multi_label=multi_label)

        def step() -> None:
            add_gradients(module, hooks, inputs, masks, self.precision, parts=parts, frames=self.network.frames)

        module.train()
        module.zero_grad(set_to_none=True)
        return measure_peak_memory_mib(step, device)


def _mean_run(runs: Sequence[TrainedRun]) -> TrainedRun:
    """The runs of all folds as one: the mean of their losses at each point."""
    points = zip(*(run.curve for run in runs), strict=True)
    curve = tuple(CurvePoint(at[0].step, sum(point.loss for point in at) / len(at)) for at in points)
    return replace(runs[0], curve=curve)
