"""Origin, input and weights of an architecture, in sentences."""

from __future__ import annotations

from nas_attn import __version__
from nas_attn.analysis.verification import Comparison
from nas_attn.architecture import Architecture, Verified
from nas_attn.metric import MEAN_IOU, METRICS, Metric
from nas_attn.training.full.prediction import frames_together
from nas_attn.training.full.weights import WeightsInfo
from nas_attn.wording.numbers import counted
from nas_attn.wording.rankings import COLLAPSED
from nas_attn.wording.verifications import comparison_text, looks_sentences


def origin_sentence(architecture: Architecture) -> str:
    """Who made it, and from what."""
    found = architecture.found
    if found is None:
        return f"Made by nas-attn {__version__} from an architecture that was written by hand."
    return (
        f"Made by nas-attn {__version__}; found on {found.date} by the study {found.study} "
        f"({found.trials} trials, space {found.space}, data {found.data})."
    )


def holding_sentence(architecture: Architecture) -> str:
    """The result of its verification; empty if no study has found it."""
    verified = architecture.verified
    if verified is None:
        return architecture.unverified
    word = metric_of_search(architecture).word
    figures = f"{word} x100 {100 * verified.iou:.1f}, baseline {100 * verified.iou_baseline:.1f}"
    if verified.delta is not None:
        comparison = Comparison(verified.delta, verified.delta_interval, verified.n_seeds, word)
        figures += f": {comparison_text(comparison)}"
    said = f"On the test data, with fresh seeds, its gain is {verified.verdict}: {figures}."
    return " ".join([said, *_collapses(verified), *looks_sentences(verified.n_looks)])


def metric_of_search(architecture: Architecture) -> Metric:
    """The metric of its search; mean IoU if no search found it."""
    return METRICS[architecture.found.metric if architecture.found else MEAN_IOU].of(architecture.multi_label)


def labels_code(architecture: Architecture) -> str:
    """Python code that turns logits into labels."""
    if architecture.multi_label:
        return "logits > 0  # (N, K, H, W): a mask for each class, for they may overlap"
    return "logits.argmax(1)"


def _collapses(verified: Verified) -> tuple[str, ...]:
    """How often it collapsed; empty if it never did."""
    return (f"But it collapsed in {verified.collapsed} of its runs ({COLLAPSED}).",) if verified.collapsed else ()


def input_sentence(architecture: Architecture, trained: WeightsInfo | None) -> str:
    """The images that it takes, and the classes that it predicts."""
    network = architecture.network
    channels = counted(network.in_channels, "channel")
    bits = "" if trained is None else f" of {trained.bits} bits"
    reduced = (
        ""
        if trained is None or trained.longest_side is None
        else f" Larger images were reduced to a longest side of {trained.longest_side} pixels before training."
    )
    kind = "Classes, each with a score and a sigmoid of its own" if architecture.multi_label else "Labels"
    classes = ", ".join(f"{index} {name}" for index, name in enumerate(architecture.classes))
    return (
        f"Images have {channels}{bits} and any height and width from {network.min_image_size} pixels up.{reduced} "
        f"{_clips_sentence(architecture)}{kind}: {classes}."
    )


def _clips_sentence(architecture: Architecture) -> str:
    frames = frames_together(architecture)
    if frames == 1:
        return ""
    return (
        f"They are frames of clips, {frames} consecutive ones of a clip, then {frames} of the next: N is a "
        f"multiple of {frames}. "
    )


def weights_sentence(trained: WeightsInfo | None) -> str:
    """The origin of its weights."""
    if trained is None:
        return "The weights are an initialisation with seed 0: nothing was trained."
    return (
        f"The weights are those of epoch {trained.epoch} of a training with seed {trained.seed} "
        f"(validation IoU x100 {100 * trained.val_iou:.2f})."
    )
