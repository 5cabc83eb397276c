"""Fill in what a request leaves open: from the preset, from the data, and from measurements of this machine."""

from __future__ import annotations

from dataclasses import replace

import torch

from nas_attn.budget import Budget
from nas_attn.config.settings import AUTO, BUILT_IN, FULL, StudyRequest
from nas_attn.data import Dataset
from nas_attn.errors import UsageError
from nas_attn.losses import loss_problem, usual_loss
from nas_attn.metric import METRICS
from nas_attn.models.catalogue import catalogue
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.models.network import UNetConfig
from nas_attn.space import read_space
from nas_attn.space.peek import written_sizes
from nas_attn.steps import step
from nas_attn.study.setup.calibrate import fastest_precision
from nas_attn.study.setup.preset import Preset
from nas_attn.study.setup.request import last_rung
from nas_attn.study.workers.worker_count import n_workers
from nas_attn.training import Precision

_FIRST = 4
"""The budget search starts at the preset's steps divided by this."""


def filled(request: StudyRequest, preset: Preset, *, ours: bool) -> StudyRequest:
    """The request with the preset's sizes where it has none."""
    written = written_sizes(request.space)
    if request.ladder is None and request.steps is None and request.budget != AUTO:
        request = replace(request, ladder=written.ladder)
    finds = request.budget == AUTO or _leaves_its_length_open(request)
    return replace(
        request,
        base_channels=(request.base_channels or written.base_channels or preset.base_channels) if ours else None,
        image_size=request.image_size or written.image_size or preset.image_size,
        steps=request.steps or last_rung(request.ladder) or preset.steps // (_FIRST if finds else 1),
        budget=AUTO if finds else None,
        longest_side=request.longest_side or preset.longest_side or FULL,
    )


def _leaves_its_length_open(request: StudyRequest) -> bool:
    """Whether nothing determines how long a trial has to be, as for new images."""
    return request.data not in BUILT_IN and request.steps is None and last_rung(request.ladder) is None


def with_frames(request: StudyRequest, dataset: Dataset, preset: Preset) -> StudyRequest:
    """The request with the length of its clips, and with a batch that fits them.

    Raises:
        UsageError: clips are asked for but images are still, or a clip is too short.
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


def with_metric_and_loss(request: StudyRequest, dataset: Dataset) -> StudyRequest:
    """The request with a metric and a loss that fit the masks, where it has none.

    Raises:
        UsageError: the loss cannot be used for such masks.
    """
    loss = request.loss or usual_loss(dataset.multi_label)
    if problem := loss_problem(loss, dataset.multi_label):
        raise UsageError(f"--loss {loss}: {problem}")
    return replace(request, loss=loss, metric=METRICS[request.metric].of(dataset.multi_label).name)


def measured(
    request: StudyRequest, theirs: DescribedNetwork | None, preset: Preset, devices: tuple[str, ...]
) -> StudyRequest:
    """The request with the fastest settings on this machine, where it has none."""
    example = theirs or UNetConfig(3, 3, preset.depth, preset.base_channels)
    side = int(request.image_size or 0) if theirs else preset.image_size
    budget = Budget(preset.steps, side, preset.batch_size)
    if request.precision == AUTO:
        with step("measuring which number format trains fastest here"):
            fastest = fastest_precision(example, budget, torch.device(devices[0]))
        request = replace(request, precision=str(fastest))
    if request.workers == AUTO:
        precision = Precision.parse(request.precision)
        request = replace(request, workers=n_workers(devices, example, budget, precision))
    return request
