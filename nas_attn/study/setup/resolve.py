"""Resolve a request: every setting gets its value for this data and this device."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from nas_attn.budget import PLAIN, SCRATCH, Budget
from nas_attn.config.checks import seconds
from nas_attn.config.settings import AUTO, BUILT_IN, CLIPS, FULL, SPLIT, SYNTHETIC, StudyRequest
from nas_attn.data import Dataset, folds_of
from nas_attn.data.readers import READERS, asked_reader
from nas_attn.errors import UsageError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.catalogue import KINDS, catalogue
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.discovery import look_at
from nas_attn.space import Ceiling, SearchSpace, read_space
from nas_attn.steps import step
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.setup.checks import check_fit, check_request
from nas_attn.study.setup.choices import filled, measured, with_frames, with_metric_and_loss
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.preset import Preset, find_devices, preset_for
from nas_attn.study.setup.request import asked_network, lower_rungs
from nas_attn.training import Precision, Recipe, class_weights_of, recipe_for, statistics_for
from nas_attn.training.evaluation import CostTable, DataSource, TrainingEvaluator
from nas_attn.training.segmenter import seen_at_once

TRIALS = 200
ENDLESS = 1_000_000
"""Number of trials of a search that is limited only by time."""
_IMAGES_FOR_A_CLIP = 4
"""There are this many times fewer built-in clips than built-in images; each clip has twice as many frames."""
IDENTITY = "identity"
"""Initialisation of attention in a network with trained weights."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """A search that can start.

    Args:
        request: the settings asked for, with every default filled in.
        settings: of the study.
        preset: sizes that were used where the request gives none.
        dataset: the data, read.
        costs: exact costs of placements.
    """

    request: StudyRequest
    settings: StudySettings
    preset: Preset
    dataset: Dataset
    costs: CostTable

    @property
    def url(self) -> str:
        """URL of the storage of the trials."""
        return self.request.storage or StudyFolder.of(self.settings.study).default_url

    def evaluators(self, packed: Path | None = None) -> list[TrainingEvaluator]:
        """One evaluator per worker; the devices take turns.

        Args:
            packed: where ``write_sets`` has written the data; None lets each worker read them.
        """
        settings = self.settings
        return [
            TrainingEvaluator(
                network=settings.space.network,
                source=settings.source,
                device=settings.devices[index % len(settings.devices)],
                precision=settings.precision,
                recipe=settings.recipe,
                cost_size=(settings.space.height, settings.space.width),
                packed=str(packed) if packed else None,
                split=settings.split,
                metric=settings.metric,
                folds=settings.folds,
                statistics=_other_statistics(settings, self.dataset),
            )
            for index in range(settings.workers)
        ]


def _other_statistics(
    settings: StudySettings, dataset: Dataset
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and standard deviation of the network's weights; None if images are normalised by those of the data."""
    found = settings.mean, settings.std
    return None if found == (dataset.mean, dataset.std) else found


def resolve(request: StudyRequest) -> Resolved:
    """Resolve a request.

    Raises:
        NasAttnError: the space, the data, the strategy, the device or the storage cannot be used; as many problems
            as possible are reported together.
    """
    check_request(request)
    devices = find_devices(request.device)
    theirs = asked_network(request)
    preset = preset_for(devices[0], request.data, ours=theirs is None)
    asked = filled(request, preset, ours=theirs is None)
    source = _source(asked, preset)
    with step("reading the images"):
        dataset = source.load()
    asked = with_metric_and_loss(with_frames(asked, dataset, preset), dataset)
    network = _looked_at(theirs, dataset)
    space = _space(asked, dataset, network, preset.depth)
    asked = measured(asked, network, preset, devices)
    mean, std = statistics_for(space.network, dataset)
    settings = StudySettings(
        study=asked.study or _default_name(space, request.data),
        space=space,
        source=source,
        data_name=dataset.name,
        classes=dataset.classes,
        mean=mean,
        std=std,
        fingerprint=dataset.fingerprint,
        budget=Budget(int(asked.steps or 0), int(asked.image_size or 0), int(asked.batch_size or 0)),
        strategy=asked.strategy,
        cost=asked.cost,
        metric=asked.metric,
        folds=folds_of(dataset, asked.folds) if asked.folds else (),
        seed=asked.seed,
        n_screening_seeds=asked.screening_seeds,
        finalists=asked.finalists,
        precision=Precision.parse(asked.precision),
        recipe=_recipe(asked, space, dataset),
        devices=devices,
        workers=int(asked.workers),
        parallel=asked.parallel or int(asked.workers),
        split=asked.out_of_memory == SPLIT,
        trials=asked.trials or (TRIALS if asked.timeout is None else ENDLESS),
        find_budget=asked.budget == AUTO,
        ladder=lower_rungs(asked.ladder),
        ladder_start=PLAIN if asked.ladder_start == PLAIN else SCRATCH,
        timeout=None if asked.timeout is None else seconds(asked.timeout),
        outside=_outside_of(space, asked.strategy, request.data),
        stop=asked.stop,
        worth=None if asked.worth is None else asked.worth / 100,
        max_latency=_ceiling(asked.max_cost) if asked.cost == "latency" else None,
    )
    check_fit(settings, dataset)
    costs = CostTable(space.network, space.height, space.width)
    return Resolved(replace(asked, study=settings.study), settings, preset, dataset, costs)


def _recipe(request: StudyRequest, space: SearchSpace, dataset: Dataset) -> Recipe:
    """The recipe of the network's runs, with the loss and the crops of the request."""
    return replace(
        recipe_for(space.network),
        loss=str(request.loss),
        class_weights=class_weights_of(request.class_weights, dataset),
        foreground=request.foreground,
        multi_label=dataset.multi_label,
    )


def _looked_at(asked: AskedNetwork | None, dataset: Dataset) -> DescribedNetwork | None:
    """The network for the data's channels and classes; None for nas-attn's own U-Net."""
    if asked is None:
        return None
    if dataset.has_clips:
        raise UsageError(f"--network {asked}: takes still images, and the data are clips; leave it out")
    with step(f"looking at {asked}"):
        return look_at(asked, dataset.in_channels, len(dataset.classes), multi_label=dataset.multi_label).network


def _space(request: StudyRequest, dataset: Dataset, network: DescribedNetwork | None, depth: int) -> SearchSpace:
    """The space with the data's channels and classes, the request's sizes and its ceilings.

    In a network with trained weights, attention starts as the identity unless the request says otherwise, because
    any other start would undo the weights.

    Costs and the limit of positions are computed for the largest image that the network sees. Large images are
    seen in tiles.
    """
    judged = (dataset.train, dataset.val) if request.folds else (dataset.val,)
    sides = {max(size) for one in judged for size in zip(one.heights, one.widths, strict=True)}
    largest = max(int(request.image_size or 0), *map(seen_at_once, sides))
    space = read_space(
        request.space,
        catalogue(),
        in_channels=dataset.in_channels,
        classes=len(dataset.classes),
        base_channels=request.base_channels,
        image_size=largest,
        start=request.start or (IDENTITY if network is not None and network.weights else None),
        frames=request.frames,
        depth=depth,
        network=network,
    )
    macs = request.max_cost if request.cost == "macs" else None
    parameters = request.max_cost if request.cost == "parameters" else None
    limits = replace(
        space.limits,
        max_macs=_ceiling(request.max_macs or macs) or space.limits.max_macs,
        max_parameters=_ceiling(request.max_parameters or parameters) or space.limits.max_parameters,
    )
    return replace(space, limits=limits)


def _ceiling(asked: str | int | None) -> Ceiling | None:
    return Ceiling.parse(asked) if asked else None


def _source(request: StudyRequest, preset: Preset) -> DataSource:
    if request.data in BUILT_IN:
        share = _IMAGES_FOR_A_CLIP if request.data == CLIPS else 1
        return DataSource(
            image_size=int(request.image_size or 0),
            n_train=max(1, preset.n_train // share),
            n_val=max(1, preset.n_val // share),
            task=request.data,
        )
    if asked := asked_reader(request.data):
        return DataSource(asked=asked)
    longest_side = None if request.longest_side == FULL else int(request.longest_side or 0)
    return DataSource(str(Path(request.data).resolve()), longest_side)


def _default_name(space: SearchSpace, data: str) -> str:
    """Name made from the space and the data, in the letters that are allowed in a study's name."""
    if data in BUILT_IN:
        name = space.name if data == SYNTHETIC else f"{space.name}-{data}"
    else:
        name = f"{space.name}-{Path(data).resolve().name}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name, flags=re.ASCII).lstrip("_.-")[:80] or "study"


def _outside_of(space: SearchSpace, strategy: str, data: str) -> tuple[tuple[str, str], ...]:
    """The user's own parts of a study, as (what, ``module:name``) pairs. They are equal in studies with the same
    parts."""
    kinds = {spec.kind for _, specs in space.choices for spec in specs}
    origins = {f"attention {kind}": KINDS.origin(kind) for kind in kinds}
    origins[f"strategy {strategy}"] = STRATEGIES.origin(strategy)
    if asked := asked_reader(data):
        origins[f"data reader {asked.reader}"] = READERS.origin(asked.reader)
    return tuple(sorted((what, origin.reference) for what, origin in origins.items() if origin))
