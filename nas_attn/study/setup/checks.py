"""Reasons why a search cannot start, in the request or in the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nas_attn.config.settings import AUTO, BUILT_IN, RAY, StudyRequest
from nas_attn.data import Dataset, LabelledImages, absent_classes, may_be_folder
from nas_attn.data.folds import joined
from nas_attn.data.readers import READERS
from nas_attn.data.shrink import LeastSide
from nas_attn.errors import DataError, NasAttnError, UsageError
from nas_attn.metric import METRICS
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.discovery import check_asked
from nas_attn.space import read_space
from nas_attn.steps import step
from nas_attn.strategy import STRATEGIES
from nas_attn.strategy.settings import StudySettings
from nas_attn.study.database.storage import check_url
from nas_attn.study.setup.own_files import means_folder
from nas_attn.study.setup.preset import find_devices
from nas_attn.study.setup.request import asked_network, last_rung
from nas_attn.study.workers.ray_pool import check_cluster, check_ray

CEILINGS = {"macs": "max_macs", "parameters": "max_parameters"}
"""Costs that are known before training, with the fields that limit them."""


def check_request(request: StudyRequest) -> None:
    """Check that a request can be met here, as far as that is known before the data are read.

    Raises:
        UsageError: it cannot; as many problems as possible are reported together.
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


def _problems_of(check: Callable[[], object]) -> tuple[str, ...]:
    try:
        check()
    except NasAttnError as error:
        return error.problems
    return ()


def _check_network(request: StudyRequest) -> None:
    """Check that the space can be read, or that its network can be built. The content is checked together with the
    data."""
    theirs = asked_network(request)
    if theirs is None:
        read_space(request.space, catalogue(), frames=request.frames)
        return
    if request.base_channels is not None:
        raise UsageError(
            f"--base-channels {request.base_channels}: only nas-attn's own U-Net has them, {theirs} does not"
        )
    with step(f"building {theirs}"):
        check_asked(theirs)


def _check_data(data: str) -> None:
    if means_folder(data) and not may_be_folder(Path(data)):
        others = " or ".join([*BUILT_IN, *READERS])
        raise UsageError(f"--data {data}: there is no such folder; give one with images/ and masks/, or {others}")


def _contradictions(request: StudyRequest) -> list[str]:
    """Settings that contradict each other."""
    found = []
    if request.ladder not in (None, AUTO):
        if request.budget == AUTO:
            found.append(
                f"--ladder {request.ladder}: --budget auto finds the last rung itself; give --ladder auto with it"
            )
        top = last_rung(request.ladder)
        if request.steps not in (None, top):
            found.append(f"--steps {request.steps}: the ladder ends with {top} steps; give only one of the two")
    if request.max_cost is not None:
        if request.cost == "memory":
            found.append(
                f"--max-cost {request.max_cost}: {request.cost} is known only after a measurement, so it can't "
                "limit what is proposed; use --max-macs or --max-parameters"
            )
        elif request.cost in CEILINGS and getattr(request, CEILINGS[request.cost]) is not None:
            flag = CEILINGS[request.cost].replace("_", "-")
            found.append(f"--max-cost {request.max_cost}: --{flag} limits the same cost; give only one of the two")
    return found


def check_fit(settings: StudySettings, dataset: Dataset) -> None:
    """Check that the network can be trained and evaluated on the data.

    Raises:
        UsageError: crops or batches are too small for it.
        DataError: images are too small, or no mask has a class that the metric uses.
    """
    _check_sizes(settings, dataset)
    _check_metric(settings, dataset)


def _check_sizes(settings: StudySettings, dataset: Dataset) -> None:
    """Check that all crops and images are large enough for the network's halvings."""
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
    """Check that the metric can be computed: validation masks without foreground have no foreground IoU."""
    if not is_judged(settings.metric, judged_images(settings, dataset), dataset.classes):
        raise DataError(
            f"--metric {settings.metric}: no validation mask holds a class but {dataset.classes[0]}; take another "
            "metric, or label some"
        )


def judged_images(settings: StudySettings, dataset: Dataset) -> LabelledImages:
    """The images on which a search compares placements."""
    return joined(dataset.train, dataset.val) if settings.folds else dataset.val


def is_judged(metric: str, images: LabelledImages, classes: tuple[str, ...]) -> bool:
    """Whether the masks of a split have a class that the metric uses, if it leaves out the first one."""
    absent = absent_classes(images, classes)
    judged = classes[1:] if METRICS[metric].foreground and not images.multi_label else classes
    return not set(judged) <= set(absent)
