"""Full training of an architecture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from nas_attn.architecture import Architecture
from nas_attn.data import Dataset, card_of
from nas_attn.errors import TrainingError
from nas_attn.losses import loss_problem, usual_loss
from nas_attn.metric import MEAN_IOU, METRICS
from nas_attn.training import Recipe, class_weights_of
from nas_attn.training.full.plan import FitSettings, choose_hardware, plan_fit
from nas_attn.training.full.result import FitResult, Report
from nas_attn.training.full.run import Run
from nas_attn.training.full.run_folder import RunFolder, architecture_id, write_json
from nas_attn.training.heap import keep_freed_memory
from nas_attn.training.metrics import device_name
from nas_attn.training.recipe import recipe_for, statistics_for


def train(
    architecture: Architecture,
    dataset: Dataset,
    settings: FitSettings,
    output: Path,
    *,
    report: Report = lambda event: None,
) -> FitResult:
    """Train an architecture in full, and test it with the weights of its best epoch.

    Every step is a step of the search, with the search's recipe. So after an epoch, weights and validation score
    are those of a search run with the same number of steps. After the last epoch, BatchNorm statistics are
    recomputed, as at the end of a search run.

    The same call resumes a stopped training, and only reads the result of a finished one. On a CPU with one thread
    the weights of a resumed training are those of an uninterrupted one, bit for bit.

    The folder gets ``weights.safetensors``, ``architecture.yaml`` (with the classes and the normalisation of the
    data), ``metrics.json``, ``curve.csv``, ``tensorboard/``, ``checkpoints/last.ckpt``, ``run.json`` (the identity
    of the run), and ``plain/`` with the same files for the baseline.

    Args:
        architecture: what to train.
        dataset: the data to train on. Images are normalised with the statistics of this set, or with those of an
            architecture file that was written by hand.
        settings: how to train.
        output: the folder; new, empty, or that of the same run.
        report: called, in one process only, before a training and after each of its steps and epochs.
    Raises:
        TrainingError: architecture, data and settings do not fit together, or the folder belongs to another run.
        DivergedError: the loss stopped being finite.
        KeyboardInterrupt: Ctrl-C; the same call resumes.
    """
    check_fit(architecture, dataset, settings)
    hardware = choose_hardware(settings)
    keep_freed_memory()
    network = architecture.network
    recipe = _recipe(architecture, settings, dataset)
    plan = plan_fit(settings, dataset, network.min_image_size, network.frames, recipe)
    subject = _completed(architecture, dataset)
    plain = dataclasses.replace(subject, placement=subject.network.plain, found=None, results=None, verified=None)
    folder = RunFolder(output)
    run = Run("architecture", subject, dataset, plan, hardware, folder)
    plain_run = Run("plain", plain, dataset, plan, hardware, folder.plain)
    run.folder.check(run.identity)
    if settings.against_plain:
        plain_run.folder.check(plain_run.identity)
    result = FitResult(
        architecture=architecture_id(architecture),
        data=dataset.name,
        classes=dataset.classes,
        seed=plan.seed,
        device=device_name(hardware.device),
        weights=folder.weights,
        trained=run.trained(report),
        plain=plain_run.trained(report) if settings.against_plain else folder.plain.finished(),
    )
    from nas_attn.training.full.lightning_shell import is_chief  # Lightning takes seconds to import

    if is_chief():
        card = card_of(dataset)
        write_json(
            folder.metrics,
            {
                **result.to_dict(),
                "iou_definition": METRICS[MEAN_IOU].of(dataset.multi_label).definition,
                "data_card": card.to_dict(),
            },
        )
    return result


def _recipe(architecture: Architecture, settings: FitSettings, dataset: Dataset) -> Recipe:
    """The recipe of the search that found the architecture, with the requested changes."""
    found, asked = architecture.found or Recipe(loss=usual_loss(dataset.multi_label)), settings
    weights, foreground = asked.class_weights, asked.foreground
    return dataclasses.replace(
        recipe_for(architecture.network),
        loss=asked.loss or found.loss,
        class_weights=found.class_weights if weights is None else class_weights_of(weights, dataset),
        foreground=found.foreground if foreground is None else foreground,
        multi_label=dataset.multi_label,
    )


def check_fit(architecture: Architecture, dataset: Dataset, settings: FitSettings) -> None:
    """Check that an architecture can be trained on a data set.

    Raises:
        TrainingError: channels, classes, kind of masks, loss or clips do not fit, or the baseline would be
            compared with itself; all problems are named together.
    """
    network, found = architecture.network, []
    if network.in_channels != dataset.in_channels:
        found.append(
            f"the architecture takes images of {network.in_channels} channels, those of {dataset.name} have "
            f"{dataset.in_channels}; set in_channels (and input mean and std) in the architecture file, or search "
            "on this data"
        )
    if network.classes != len(dataset.classes):
        found.append(
            f"the architecture has {network.classes} classes, {dataset.name} has {len(dataset.classes)} "
            f"({', '.join(dataset.classes)}); set classes in the architecture file, or search on this data"
        )
    if architecture.multi_label != dataset.multi_label and architecture.found is not None:
        kinds = ["classes of which a pixel has one", "classes that may overlap (multi_label)"]
        found.append(
            f"the architecture was found for {kinds[architecture.multi_label]}, {dataset.name} has "
            f"{kinds[dataset.multi_label]}; search on this data"
        )
    elif settings.loss and (problem := loss_problem(settings.loss, dataset.multi_label)):
        found.append(f"loss: {problem}")
    found += _clip_problems(network.frames, dataset)
    if settings.against_plain and architecture.placement == network.plain:
        found.append("the architecture is the baseline itself; leave out the comparison with it")
    if found:
        raise TrainingError(found)


def _clip_problems(frames: int, dataset: Dataset) -> list[str]:
    if frames == 1 or frames <= dataset.shortest_clip:
        return []
    if dataset.has_clips:
        return [
            f"the architecture looks at clips of {frames} frames, the shortest of {dataset.name} has "
            f"{dataset.shortest_clip}; give longer clips, or search with --frames {dataset.shortest_clip}"
        ]
    return [
        f"the architecture looks at clips of {frames} frames, the images of {dataset.name} are still; give clips "
        "(images/train/CLIP/0001.png), or an architecture that was found on still images"
    ]


def _completed(architecture: Architecture, dataset: Dataset) -> Architecture:
    """The architecture with the classes of the data, and with its statistics unless a person chose some."""
    if architecture.found is None:
        return dataclasses.replace(architecture, classes=dataset.classes, multi_label=dataset.multi_label)
    mean, std = statistics_for(architecture.network, dataset)
    return dataclasses.replace(architecture, classes=dataset.classes, mean=mean, std=std)
