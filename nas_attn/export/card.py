"""A model card in Markdown: what the network is, how good it is, how it was found, and its limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from nas_attn import __version__
from nas_attn.analysis import Interval
from nas_attn.architecture import Architecture
from nas_attn.architecture.replacing import write_text
from nas_attn.architecture.write import network_name
from nas_attn.commands import command
from nas_attn.export.card_evidence import CardEvidence, evidence_of
from nas_attn.export.drawing import draw_in_letters
from nas_attn.export.python.runtime import wants_hooks
from nas_attn.export.subject import Subject
from nas_attn.export.words import input_sentence, labels_code, metric_of_search, origin_sentence, weights_sentence
from nas_attn.training.metrics import count_macs, count_parameters
from nas_attn.wording.numbers import amount
from nas_attn.wording.placements import describe

_FRONT = """\
---
library_name: pytorch
pipeline_tag: image-segmentation
tags: [image-segmentation, unet, attention]
license: other  # FILL IN: yours
---
"""

_USE = """\
```python
import nas_attn  # or without it: {export}

network = nas_attn.load("{source}")
logits = network(images)  # (N, {channels}, H, W), normalised -> (N, {classes}, H, W)
labels = {labels}
```

Images go in as (pixels - mean) / std, in pixel units: mean {mean}, std {std}."""

_LIMITS = (
    "The ranking is valid for this network, image size, training budget and data. A placement that gains a "
    "point here may gain nothing in a larger network, at another size or on other images.",
    "Images must resemble the training images in what they show and in how they were taken; nothing was done to "
    "make the network notice when they do not.",
)

_FILL_IN = (
    "Intended use, and use to be avoided: FILL IN",
    "Who is answerable, and how to reach them: FILL IN",
    "Licence of this model: FILL IN",
    "Source of the data, their licence, and consent to their use: FILL IN",
)


def write_card(subject: Subject, path: Path) -> str:
    """Write a model card. What only its author can know is marked FILL IN.

    Returns:
        in words, how the costs that were counted now compare with those of the search.
    Raises:
        ExportError: the path cannot be written.
        StudyError: the study can no longer be read.
    """
    network, architecture = subject.network(), subject.architecture
    size = subject.counted_size
    shape = (architecture.network.frames, architecture.network.in_channels, *size)
    counted = count_parameters(network), count_macs(network, shape)
    write_text(path, _card(subject, evidence_of(subject), *counted))
    results = architecture.results
    if results is None:
        return "parameters and MACs were counted on the network"
    if (results.parameters, results.macs) == counted:
        return "parameters and MACs, counted again, are those of the search"
    return (
        f"counted {counted[0]:,} parameters and {counted[1]:,} MACs; the search had {results.parameters:,} and "
        f"{results.macs:,} (the card has both)"
    )


def _card(subject: Subject, evidence: CardEvidence, parameters: int, macs: int) -> str:
    architecture = subject.architecture
    network, (height, width) = architecture.network, subject.counted_size
    facts = [
        ("network", network.headline),
        ("attention", describe(architecture.placement)),
        ("input", input_sentence(architecture, subject.trained)),
        ("parameters", f"{parameters:,}"),
        (f"MACs of one {network.input_name}", f"{amount(macs)} at {width}x{height} pixels"),
        *_searched_costs(subject, parameters, macs),
        ("placement id", architecture.placement.id),
        ("made with", f"nas-attn {__version__}"),
    ]  # fmt: skip
    sections = [
        ("What it is", [_plain(origin_sentence(architecture)), _weights(subject), _table(facts),
                        f"```text\n{draw_in_letters(network, architecture.placement)}\n```"]),
        ("How good it is", list(_results(subject, evidence))),
        ("Data", [_table(evidence.data)] if evidence.data else ["FILL IN: nothing is known of the data."]),
        ("How it was found and trained", [_table(evidence.made)] if evidence.made else ["Nothing is recorded."]),
        ("How to use it", [_use(subject)]),
        ("How to repeat it", [_commands(evidence.commands)] if evidence.commands else ["Nothing is recorded."]),
        ("Limitations", [_list([_pooled(architecture), *_LIMITS, *_hooks(subject)])]),
        ("To be filled in", [_list(_FILL_IN)]),
    ]  # fmt: skip
    title = f"# {_plain(network_name(architecture))}: {_plain(describe(architecture.placement))}"
    parts = [title, *(f"## {heading}\n\n{_joined(body)}" for heading, body in sections)]
    return f"{_FRONT}\n{_joined(parts)}\n"


def _weights(subject: Subject) -> str:
    if subject.trained is None:
        return f"No weights go with it: it has not been trained in full yet (`{command('train')}`)."
    return weights_sentence(subject.trained)


def _searched_costs(subject: Subject, parameters: int, macs: int) -> Iterator[tuple[str, str]]:
    results = subject.architecture.results
    if results is None:
        return
    if (results.parameters, results.macs) != (parameters, macs):
        yield "in the search", f"{results.parameters:,} parameters, {amount(results.macs)} MACs"
    name = subject.architecture.network.input_name
    device = subject.architecture.found.device if subject.architecture.found else ""
    device = results.latency_device or device
    if results.latency_ms is not None:
        ratio = "" if results.latency_ratio is None else f", {results.latency_ratio:.2f}x the baseline's"
        yield "latency", f"{results.latency_ms:.3g} ms for one {name}{f' on {device}' if device else ''}{ratio}"
    if results.peak_memory_mib is not None:
        yield "memory of a training step", f"{results.peak_memory_mib:.3g} MiB"


def _results(subject: Subject, evidence: CardEvidence) -> Iterator[str]:
    results = subject.architecture.results
    if evidence.verdict:
        yield f"**{_plain(evidence.verdict)}**"
    if results is not None:
        rows = [
            ("rank in the study", str(results.rank)),
            (
                f"validation {metric_of_search(subject.architecture).word} x100",
                _with_bounds(results.iou_mean, results.iou_interval, sign=False),
            ),
            (
                "points over the baseline, same seeds",
                _with_bounds(results.delta, results.delta_interval, sign=True),
            ),
            ("seeds", str(results.n_seeds)),
            ("budget of these runs", str(subject.architecture.found.budget) if subject.architecture.found else ""),
        ]
        yield "In the search, on the validation data, with the 95 % confidence interval in brackets:"
        yield _table((name, text) for name, text in rows if text)
    if evidence.holds:
        yield f"### Is the gain confirmed?\n\n{_list(evidence.holds)}"
    if evidence.modules:
        yield f"### What each module adds\n\n{_list(evidence.modules)}"
    if evidence.tests:
        yield "### After full training\n\nIoU x100 on the test data, which took no part in the training:"
        yield _table(evidence.tests)
    if evidence.notes:
        yield f"### What to know of these figures\n\n{_list(evidence.notes)}"
    if results is None and not evidence.tests:
        yield "Nothing was measured."


def _with_bounds(value: float | None, interval: Interval | None, *, sign: bool) -> str:
    if value is None:
        return ""
    shown = f"{100 * value:+.2f}" if sign else f"{100 * value:.2f}"
    known = "not known" if interval is None else f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"
    return f"{shown} ({known})"


def _pooled(architecture: Architecture) -> str:
    """What the metric does not measure."""
    metric = metric_of_search(architecture)
    where = "without background" if metric.foreground else "background included"
    where = "class by class" if metric.multi_label else where
    how = "averaged over images" if metric.per_image else "pooled over all pixels of a split"
    return f"{metric.heading} is {how}, {where}: small objects and single images may be segmented worse."


def _hooks(subject: Subject) -> list[str]:
    if not wants_hooks(subject.network()):
        return []
    return [
        "Some of its attention follows the steps of a training or adds a loss of its own. To train the file, "
        "call network.begin_step(step, steps) before each forward pass; add network.own_loss(masks) to the loss."
    ]


def _use(subject: Subject) -> str:
    architecture = subject.architecture
    return _USE.format(
        export=command("export", "SOURCE", o="best.py"),
        source=(subject.weights.parent.as_posix() if subject.weights else "best.yaml").replace('"', ""),
        channels=architecture.network.in_channels,
        classes=architecture.network.classes,
        labels=labels_code(architecture),
        mean=", ".join(f"{value:g}" for value in architecture.mean),
        std=", ".join(f"{value:g}" for value in architecture.std),
    )


def _table(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {_plain(name)} | {_plain(text)} |" for name, text in pairs)])


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _commands(commands: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"{_plain(about)}\n\n```bash\n{command}\n```" for command, about in commands)


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)


def _plain(text: str) -> str:
    """Text without markup and without the end of a table cell."""
    marked = re.sub(r"([\\`*\[\]|<>]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", text)
    return marked.replace("\n", " ")
