"""Prediction panels of a study: the winner and the baseline, trained again, on three images."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.analysis.runs import comparable_iou
from nas_attn.budget import Budget
from nas_attn.clips import covering_windows
from nas_attn.data import Dataset, fold_dataset
from nas_attn.errors import StudyError
from nas_attn.metric import METRICS
from nas_attn.models.placement import Location, Placement
from nas_attn.record import TrialRecord
from nas_attn.reporting.page import Panel, Panels, Picture
from nas_attn.reporting.presentation.panel_store import read_panels, write_panels
from nas_attn.reporting.presentation.pictures import class_colours, draw_errors, draw_labels, draw_map, map_range
from nas_attn.strategy.settings import differences
from nas_attn.study.database.ledger import Ledger
from nas_attn.study.setup.folder import StudyFolder
from nas_attn.study.setup.own_files import check_apart, check_storage
from nas_attn.study.setup.request import kept_request
from nas_attn.study.setup.resolve import Resolved, resolve
from nas_attn.study.setup.study_file import read_study_file
from nas_attn.study.study_pool import packed_if_writable
from nas_attn.training import segment_images
from nas_attn.training.evaluation import TrainingEvaluator, attention_maps
from nas_attn.training.metrics import IntersectionOverUnion, one_thread
from nas_attn.training.overlap import answers
from nas_attn.wording.placements import describe

MOST_MAPS = 6


@dataclass(frozen=True)
class PanelPair:
    """The two runs of the panels.

    Args:
        winner: the first placement of the ranking with attention.
        winner_run: a run of it.
        plain_run: the baseline's run with the same seed and the same budget.
    """

    winner: RankedPlacement
    winner_run: TrialRecord
    plain_run: TrialRecord

    @property
    def runs(self) -> tuple[TrialRecord, TrialRecord]:
        """Both runs, the winner's first."""
        return self.winner_run, self.plain_run

    @property
    def key(self) -> dict[str, object]:
        """The key that identifies stored panels, as plain values."""
        run = self.winner_run
        return {"placement": run.placement.to_dict(), "budget": run.budget.to_dict(), "seed": run.seed}


def find_pair(records: Sequence[TrialRecord], ranking: Ranking) -> PanelPair | None:
    """The winner's and the baseline's runs with the smallest common seed; None if there is none."""
    winner = next((row for row in ranking.rows if not row.is_plain), None)
    if winner is None or ranking.plain is None:
        return None
    plain_runs = _runs(records, ranking.plain, ranking.budget)
    winner_runs = _runs(records, winner, ranking.budget)
    shared = min((seed for seed in winner_runs if seed in plain_runs), default=None)
    return None if shared is None else PanelPair(winner, winner_runs[shared], plain_runs[shared])


def make_panels(
    ledger: Ledger, pair: PanelPair, folder: StudyFolder, *, listener: Callable[[str], None] = lambda line: None
) -> Panels:
    """The panels of a study: stored ones, or new ones, for which two networks are trained.

    Weights of trials are not stored, but a run is a pure function of placement, budget and seed. On a machine like
    that of the search, training again gives exactly the networks that were ranked. The panels say whether it did.

    Args:
        ledger: of the study.
        pair: the runs to show.
        folder: of the study; the panels are stored in it.
        listener: called before networks are trained, with the time that this took in the study.
    Raises:
        NasAttnError: the study's settings, data or device no longer exist, or have changed.
    """
    key = {**pair.key, "data": ledger.identity["data fingerprint"]}
    if (kept := read_panels(folder.panels, key)) is not None:
        return kept
    resolved = _resolved(ledger, folder)
    listener(
        "training two networks again for the prediction panels: their trials took "
        f"{sum(record.outcome.seconds for record in pair.runs if record.outcome):.0f} s"
    )
    made = _trained_panels(resolved, pair, folder)
    try:
        write_panels(made, folder.panels, key)
    except StudyError as error:
        listener(f"{error}; the next report makes them again")
    return made


def _runs(records: Sequence[TrialRecord], row: RankedPlacement, budget: Budget | None) -> dict[int, TrialRecord]:
    found: dict[int, TrialRecord] = {}
    for record in records:
        if record.placement == row.placement and record.budget == budget and comparable_iou(record) is not None:
            found.setdefault(record.seed, record)
    return found


def _resolved(ledger: Ledger, folder: StudyFolder) -> Resolved:
    """The search of a study, resolved again for one worker."""
    if not folder.settings.is_file():
        raise StudyError(f"{folder.settings}: there is no such file, so it is not known where the data lie")
    request = kept_request(read_study_file(folder.settings))
    check_apart(request.data, folder)
    check_storage(folder, ledger.url, ledger)
    space = str(folder.space) if folder.space.is_file() else request.space
    resolved = resolve(replace(request, space=space, workers=1))
    identity = json.loads(json.dumps(resolved.settings.identity()))
    if found := differences(ledger.identity, identity):
        raise StudyError([f"study '{ledger.name}': {difference}" for difference in found])
    return resolved


def _trained_panels(resolved: Resolved, pair: PanelPair, folder: StudyFolder) -> Panels:
    dataset, settings = resolved.dataset, resolved.settings
    (evaluator, *_) = resolved.evaluators(packed_if_writable(resolved, folder))
    if folds := settings.folds:
        dataset, evaluator = fold_dataset(dataset, folds, 0), evaluator.in_folds[0]
    with _as_a_worker():
        networks = [evaluator.trained(run.placement, run.budget, run.seed) for run in pair.runs]
        scores = [evaluator.score(network).iou for network in networks]
        labels, ious = zip(*(segmented(network, evaluator) for network in networks), strict=True)
        chosen = telling_images(ious[0], dataset.val.names)
        maps = [_maps(networks[0], index, evaluator) for index in chosen]
    caption = "winner" if pair.winner.rank == 1 else f"rank {pair.winner.rank}"
    panels = [
        Panel(
            dataset.val.names[index],
            why,
            ious[0][index],
            ious[1][index],
            (
                *_predictions(dataset, index, labels[0][index], labels[1][index], caption),
                *_attention(found, pair.winner.placement),
            ),
        )
        for (index, why), found in zip(chosen.items(), maps, strict=True)
    ]
    return Panels(
        tuple(_notes(pair, scores, dataset.units, METRICS[settings.metric].word, settings.n_folds)),
        class_colours(dataset.classes, multi_label=dataset.multi_label),
        tuple(panels),
    )


def _maps(network: nn.Module, index: int, evaluator: TrainingEvaluator) -> dict[str, Tensor]:
    """The attention maps of a validation image, in the window in which it is scored."""
    inputs, place = network_input(index, evaluator)
    return attention_maps(network, inputs, evaluator.precision, place)


@contextmanager
def _as_a_worker() -> Iterator[None]:
    """Use the same number of threads as a worker: on a CPU, it determines the order of additions and so the last
    digit."""
    with one_thread():
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)


def _predictions(dataset: Dataset, index: int, winner: Tensor, plain: Tensor, caption: str) -> list[Picture]:
    truth = dataset.val.mask(index)
    pixels = dataset.val.image(index)
    draw = partial(draw_labels, pixels, classes=dataset.classes, multi_label=dataset.multi_label)
    errors = partial(draw_errors, pixels, truth=truth)
    return [
        draw(torch.zeros_like(truth), caption="image"),
        draw(truth, caption="truth"),
        draw(plain, caption="baseline"),
        draw(winner, caption=caption),
        errors(plain, caption="errors, baseline"),
        errors(winner, caption=f"errors, {caption}"),
    ]


def _attention(maps: dict[str, Tensor], placement: Placement) -> list[Picture]:
    """The maps that vary most, in the order in which the network computes them."""
    varied = sorted(maps, key=lambda place: map_range(maps[place])[0] - map_range(maps[place])[1])[:MOST_MAPS]
    return [
        draw_map(values, f"{placement[Location.parse(place)].kind} at {place}")
        for place, values in maps.items()
        if place in varied
    ]


def _notes(pair: PanelPair, scores: Sequence[float], units: str, word: str, n_folds: int) -> Iterator[str]:
    run = pair.winner_run
    yield (
        f"{describe(pair.winner.placement)} (rank {pair.winner.rank}) and the baseline on the validation "
        f"{units} on which the placement is worst, median and best; IoU is the mean IoU of the one {units[:-1]}."
    )
    known = [record.outcome.score.iou for record in pair.runs if record.outcome]
    again = f"Both were trained again with seed {run.seed} for {run.budget}"
    if n_folds > 1:
        yield f"{again}, without the first of {n_folds} folds, whose {units} these are."
    elif list(scores) == known:
        yield f"{again}, and have the {word} of their trials to the last digit, so these are the ranked networks."
    else:
        told = " and ".join(
            f"{100 * new:.2f} (in the study {100 * old:.2f})" for new, old in zip(scores, known, strict=True)
        )
        yield f"{again}. Their {word} x100 is {told}: this machine computes differently from that of the search."
    yield (
        "Attention maps show how much a module scales each position: the length of its output over that of its "
        "input, over all channels. Yellow is most and blue is least within a map, grey is where the input is 0. "
        "Kinds that treat all positions alike have none."
    )


def segmented(network: nn.Module, evaluator: TrainingEvaluator) -> tuple[list[Tensor], list[float]]:
    """The class of each pixel of each validation image, (H, W) on the CPU, and the mean IoU of each image
    alone."""
    images = evaluator.validation
    labels = [torch.empty(size, dtype=images.masks.dtype) for size in images.sizes]
    ious = [IntersectionOverUnion(evaluator.network.classes, multi_label=images.multi_label) for _ in labels]
    for found in segment_images(evaluator.segmenter(network), images):
        answered = answers(found.logits, images.multi_label).to(images.masks.dtype).cpu()
        for number, answer, mask in zip(found.numbers.tolist(), answered, found.masks.cpu(), strict=True):
            labels[number][found.rows, found.columns] = answer
            ious[number].update(answer[None], mask[None])
    return labels, [iou.compute()[0] if iou.overlaps().occurring.any() else math.nan for iou in ious]


def network_input(index: int, evaluator: TrainingEvaluator) -> tuple[Tensor, int]:
    """The window in which a validation image is scored, as the network's input, and the image's index in it.

    Shape: () -> (T, C, H, W), ().
    """
    images = evaluator.validation
    windows = covering_windows(images.lengths, images.frames)
    first = next(one.first for one in windows if 0 <= index - one.first < images.frames)
    pixels, _ = images.images_of(range(first, first + images.frames))
    return images.normalise(pixels.to(images.device)), index - first


def telling_images(ious: Sequence[float], names: Sequence[str]) -> dict[int, str]:
    """The worst, the median and the best image, if there are so many."""
    known = [index for index, iou in enumerate(ious) if not math.isnan(iou)]
    order = sorted(known, key=lambda index: (ious[index], names[index]))
    chosen = {order[0]: "worst", order[len(order) // 2]: "median", order[-1]: "best"}
    return dict(sorted(chosen.items(), key=lambda item: order.index(item[0])))
