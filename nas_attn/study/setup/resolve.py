"""From what was asked to what will be done."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from nas_attn.budget import PLAIN, SCRATCH, Budget
from nas_attn.config.checks import seconds
from nas_attn.config.settings import AUTO, BUILT_IN, CLIPS, FULL, RAY, SPLIT, SYNTHETIC, StudyRequest
from nas_attn.data import Dataset, LabelledImages, absent_classes, folds_of, may_be_folder
from nas_attn.data.folds import joined
from nas_attn.data.least_side import LeastSide
from nas_attn.data.readers import READERS, asked_reader
from nas_attn.errors import DataError, NasAttnError, UsageError
from nas_attn.losses import loss_problem, usual_loss
from nas_attn.metric import METRICS
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork, Network
from nas_attn.models.discovery import check_asked, look_at
from nas_attn.models.network import UNetConfig
from nas_attn.space import Ceiling, SearchSpace, read_space
from nas_attn.space.sizes import written_sizes
from nas_attn.steps import step
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database.storage import check_url
from nas_attn.study.setup.asked import asked_network
from nas_attn.study.setup.calibrate import fastest_precision
from nas_attn.study.setup.outside import outside_of
from nas_attn.study.setup.preset import Preset, find_devices, n_cores, preset_for
from nas_attn.study.workers.cluster_address import check_cluster
from nas_attn.study.workers.ray_pool import check_ray
from nas_attn.study.workers.share import workers_per_gpu
from nas_attn.training import Precision, Recipe, class_weights_of, recipe_for, statistics_for
from nas_attn.training.evaluation import CostTable, DataSource, TrainingEvaluator
from nas_attn.training.segmenter import seen_at_once

TRIALS = 200
ENDLESS = 1_000_000
"""Trials of a search that only its time limits."""
_FIRST = 4
"""Where the budget is to be found, the doubling begins with this part of the preset's steps."""
_IMAGES_FOR_A_CLIP = 4
"""The built-in clips are so many times fewer than the built-in images; each has twice as many frames."""
IDENTITY = "identity"
"""The start of attention in a network with trained weights."""
CEILINGS = {"macs": "max_macs", "parameters": "max_parameters"}
"""Costs that are known before a training, and the fields that limit them."""


@dataclass(frozen=True, eq=False)
class Resolved:
    """A search that can begin.

    Args:
        request: what was asked, with every choice written out.
        settings: what will be done.
        preset: which sizes were taken where nobody said otherwise.
        dataset: the data, read.
        costs: exact costs of placements.
    """

    request: StudyRequest
    settings: StudySettings
    preset: Preset
    dataset: Dataset
    costs: CostTable

    def evaluators(self, packed: Path | None = None) -> list[TrainingEvaluator]:
        """One for each worker; the devices take turns.

        Args:
            packed: where ``write_sets`` has put the data; None lets each worker read them.
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
    """Those of the network's weights; None where images are normalised by the data's."""
    found = settings.mean, settings.std
    return None if found == (dataset.mean, dataset.std) else found


def resolve(request: StudyRequest) -> Resolved:
    """Settle every question of a request.

    Raises:
        NasAttnError: the space, the data, the strategy, the device or the storage cannot be used; what can be
            found out together is told together.
    """
    checks = (
        lambda: STRATEGIES[request.strategy],
        lambda: _check_network(request),
        lambda: find_devices(request.device),
        lambda: check_url(request.storage) if request.storage else None,
        lambda: check_ray() if request.engine == RAY else None,
        lambda: check_cluster(request.address) if request.engine == RAY else None,
        lambda: _check_data(request.data),
    )
    problems = [problem for check in checks for problem in _problems_of(check)]
    problems += _contradictions(request)
    if problems:
        raise UsageError(problems)
    devices = find_devices(request.device)
    theirs = asked_network(request)
    preset = preset_for(devices[0], request.data, ours=theirs is None)
    asked = _filled(request, preset, ours=theirs is None)
    source = _source(asked, preset)
    with step("reading the images"):
        dataset = source.load()
    asked = _with_metric_and_loss(_with_frames(asked, dataset, preset), dataset)
    network = _looked_at(theirs, dataset)
    space = _space(asked, dataset, network, preset.depth)
    asked = _measured(asked, network, preset, devices)
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
        ladder=_lower_rungs(asked.ladder),
        ladder_start=PLAIN if asked.ladder_start == PLAIN else SCRATCH,
        timeout=None if asked.timeout is None else seconds(asked.timeout),
        outside=outside_of(space, asked.strategy, request.data),
        stop=asked.stop,
        worth=None if asked.worth is None else asked.worth / 100,
        max_latency=_ceiling(asked.max_cost) if asked.cost == "latency" else None,
    )
    _check_sizes(settings, dataset)
    _check_metric(settings, dataset)
    costs = CostTable(space.network, space.height, space.width)
    return Resolved(replace(asked, study=settings.study), settings, preset, dataset, costs)


def _recipe(request: StudyRequest, space: SearchSpace, dataset: Dataset) -> Recipe:
    """The recipe of the network's runs, with what was asked for about its loss and its crops."""
    return replace(
        recipe_for(space.network),
        loss=request.loss or usual_loss(dataset.multi_label),
        class_weights=class_weights_of(request.class_weights, dataset),
        foreground=request.foreground,
        multi_label=dataset.multi_label,
    )


def _with_metric_and_loss(request: StudyRequest, dataset: Dataset) -> StudyRequest:
    """The request with what suits the masks where it leaves that open.

    Raises:
        UsageError: the loss cannot judge such masks.
    """
    loss = request.loss or usual_loss(dataset.multi_label)
    if problem := loss_problem(loss, dataset.multi_label):
        raise UsageError(f"--loss {loss}: {problem}")
    return replace(request, loss=loss, metric=METRICS[request.metric].of(dataset.multi_label).name)


def _contradictions(request: StudyRequest) -> list[str]:
    """What does not go together."""
    found = []
    if request.ladder not in (None, AUTO):
        if request.budget == AUTO:
            found.append(
                f"--ladder {request.ladder}: --budget auto finds the last rung itself; give --ladder auto with it"
            )
        top = _last_rung(request.ladder)
        if request.steps not in (None, top):
            found.append(f"--steps {request.steps}: the ladder ends with {top} steps; give one of the two")
    if request.max_cost is not None:
        if request.cost == "memory":
            found.append(
                f"--max-cost {request.max_cost}: {request.cost} is known only after a measurement, so it can't "
                "limit what is proposed; use --max-macs or --max-parameters"
            )
        elif request.cost in CEILINGS and getattr(request, CEILINGS[request.cost]) is not None:
            flag = CEILINGS[request.cost].replace("_", "-")
            found.append(f"--max-cost {request.max_cost}: --{flag} limits the same; give one of the two")
    return found


def _last_rung(ladder: str | None) -> int | None:
    return None if ladder in (None, AUTO) else int(str(ladder).rpartition(",")[2])


def _lower_rungs(ladder: str | None) -> tuple[int, ...] | Literal["auto"]:
    """Steps of the rungs below the last."""
    if ladder is None:
        return ()
    return "auto" if ladder == AUTO else tuple(int(part) for part in ladder.split(","))[:-1]


def _problems_of(check: Callable[[], object]) -> tuple[str, ...]:
    try:
        check()
    except NasAttnError as error:
        return error.problems
    return ()


def _check_network(request: StudyRequest) -> None:
    """That the space can be read, or the network built that it is for: what is in it is seen with the data."""
    theirs = asked_network(request)
    if theirs is None:
        read_space(request.space, catalogue(), frames=request.frames)
        return
    if request.base_channels is not None:
        raise UsageError(
            f"--base-channels {request.base_channels}: nas-attn's own U-Net has them, {theirs} has not"
        )
    with step(f"building {theirs}"):
        check_asked(theirs)


def _looked_at(asked: AskedNetwork | None, dataset: Dataset) -> DescribedNetwork | None:
    """The network for the data's channels and classes; None where it is nas-attn's own."""
    if asked is None:
        return None
    if dataset.has_clips:
        raise UsageError(f"--network {asked}: takes still images, and the data are clips; leave it out")
    with step(f"looking at {asked}"):
        return look_at(asked, dataset.in_channels, len(dataset.classes), multi_label=dataset.multi_label).network


def _filled(request: StudyRequest, preset: Preset, *, ours: bool) -> StudyRequest:
    """The request with the preset's sizes where it leaves them open."""
    written = written_sizes(request.space)
    if request.ladder is None and request.steps is None and request.budget != AUTO:
        request = replace(request, ladder=written.ladder)
    finds = request.budget == AUTO or _leaves_its_length_open(request)
    return replace(
        request,
        base_channels=(request.base_channels or written.base_channels or preset.base_channels) if ours else None,
        image_size=request.image_size or written.image_size or preset.image_size,
        steps=request.steps or _last_rung(request.ladder) or preset.steps // (_FIRST if finds else 1),
        budget=AUTO if finds else None,
        longest_side=request.longest_side or preset.longest_side or FULL,
    )


def _leaves_its_length_open(request: StudyRequest) -> bool:
    """Whether nothing tells how long a trial has to be: nobody knows that of images that nobody has trained on."""
    return request.data not in BUILT_IN and request.steps is None and _last_rung(request.ladder) is None


def _measured(
    request: StudyRequest, theirs: DescribedNetwork | None, preset: Preset, devices: tuple[str, ...]
) -> StudyRequest:
    """The request with what is fastest on this machine where it leaves that open."""
    example = theirs or UNetConfig(3, 3, preset.depth, preset.base_channels)
    side = int(request.image_size or 0) if theirs else preset.image_size
    budget = Budget(preset.steps, side, preset.batch_size)
    if request.precision == AUTO:
        with step("measuring which number format trains fastest here"):
            fastest = fastest_precision(example, budget, torch.device(devices[0]))
        request = replace(request, precision=str(fastest))
    if request.workers == AUTO:
        precision = Precision.parse(request.precision)
        request = replace(request, workers=_n_workers(devices, example, budget, precision))
    return request


def _n_workers(devices: tuple[str, ...], example: Network, budget: Budget, precision: Precision) -> int:
    """One for each core, or as many as a GPU runs fastest."""
    if devices == ("cpu",):
        return n_cores()
    with step("measuring how many trials a GPU runs fastest"):
        return len(devices) * workers_per_gpu(example, budget, precision, devices[0])


def _with_frames(request: StudyRequest, dataset: Dataset, preset: Preset) -> StudyRequest:
    """The request with the length of its clips, and with a batch that fits it.

    Raises:
        UsageError: clips are asked for and images are still, or a clip is too short.
    """
    asked = request.frames or written_sizes(request.space).frames
    if not dataset.has_clips:
        if asked not in (None, 1):
            raise UsageError(_still(request, asked))
        return replace(request, batch_size=request.batch_size or preset.batch_size)
    shortest = dataset.shortest_clip
    frames = asked or min(preset.frames, shortest)
    if frames > shortest:
        mend = f"take --frames {shortest}, or longer clips" if shortest > 1 else "leave it out, or give it more"
        raise UsageError(
            f"--data {request.data}: its shortest clip, {dataset.shortest_clip_name}, has "
            f"{shortest} frame{'s' if shortest > 1 else ''}, and {frames} are to go through the network together; "
            f"{mend}"
        )
    return replace(request, frames=frames, batch_size=request.batch_size or preset.batch_of(frames))


def _still(request: StudyRequest, frames: int) -> str:
    space = read_space(request.space, catalogue(), frames=frames)
    names = {spec.kind for _, specs in space.choices for spec in specs}
    kinds = ", ".join(name for name, kind in catalogue().items() if name in names and kind.needs_clip)
    clips = "--data clips or a folder with images/train/CLIP/0001.png"
    if request.frames and not kinds:
        return (
            f"--data {request.data}: its images are still, and --frames is {frames}; leave it out, or give {clips}"
        )
    return (
        f"--data {request.data}: its images are still, and {space.name} looks at clips of {frames} frames"
        f"{f' ({kinds})' if kinds else ''}; give {clips}, or take another space"
    )


def _check_data(data: str) -> None:
    if data not in BUILT_IN and asked_reader(data) is None and not may_be_folder(Path(data)):
        others = " or ".join([*BUILT_IN, *READERS])
        raise UsageError(f"--data {data}: there is no such folder; give one with images/ and masks/, or {others}")


def _space(request: StudyRequest, dataset: Dataset, network: DescribedNetwork | None, depth: int) -> SearchSpace:
    """The space with the data's channels and classes, the request's sizes and its ceilings.

    In a network with trained weights attention starts at the identity unless somebody says otherwise: any other
    start would undo the weights.

    Costs and the limit of positions are judged for the largest image that the network will see; of large images it
    sees a tile at a time.
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


def _check_sizes(settings: StudySettings, dataset: Dataset) -> None:
    """Every crop that is trained on and every image that is judged has to survive the network's halvings."""
    network, budget = settings.space.network, settings.budget
    least = network.min_image_size
    if budget.image_size < least:
        raise UsageError(
            f"--image-size: crops of {budget.image_size} pixels are too small for {network.title}; take at least "
            f"{least}"
        )
    by_batch = isinstance(network, DescribedNetwork) or network.norm == "batch"
    if by_batch and budget.batch_size * network.frames == 1 and budget.image_size < 2 * least:
        raise UsageError(
            f"--batch-size: batch normalisation cannot learn from one crop of {budget.image_size} pixels, whose "
            f"bottleneck is one pixel; take 2 crops or more, or an --image-size of at least {2 * least}"
        )
    judged = (
        size
        for images in (judged_images(settings, dataset), dataset.test)
        for size in zip(images.names, images.heights, images.widths, strict=True)
    )
    if problem := LeastSide(least, network.title).problem(judged):
        raise DataError(problem)


def _check_metric(settings: StudySettings, dataset: Dataset) -> None:
    """Validation masks without foreground have no foreground IoU."""
    if not is_judged(settings.metric, judged_images(settings, dataset), dataset.classes):
        raise DataError(
            f"--metric {settings.metric}: no validation mask holds a class but {dataset.classes[0]}; take another "
            "metric, or label some"
        )


def judged_images(settings: StudySettings, dataset: Dataset) -> LabelledImages:
    """The images by which a search compares."""
    return joined(dataset.train, dataset.val) if settings.folds else dataset.val


def is_judged(metric: str, images: LabelledImages, classes: tuple[str, ...]) -> bool:
    """Whether the masks of a split hold a class that a metric judges, where it leaves out the first."""
    absent = absent_classes(images, classes)
    judged = classes[1:] if METRICS[metric].foreground and not images.multi_label else classes
    return not set(judged) <= set(absent)


def _default_name(space: SearchSpace, data: str) -> str:
    """Made of the space and the data, in the letters that a study's name may have."""
    if data in BUILT_IN:
        name = space.name if data == SYNTHETIC else f"{space.name}-{data}"
    else:
        name = f"{space.name}-{Path(data).resolve().name}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name, flags=re.ASCII).lstrip("_.-")[:80] or "study"
