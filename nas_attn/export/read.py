"""An architecture file to its value; nothing in it is executed, and everything in it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from nas_attn.budget import Budget
from nas_attn.document import Entry, FileKind, Problems, parse_document, read_text, shown_path
from nas_attn.errors import ExportError, UsageError
from nas_attn.export.architecture import FORMAT, Architecture, Found, Results, Verified, input_problems
from nas_attn.export.placement import read_placement
from nas_attn.export.sections import Section
from nas_attn.kind import AttentionKind
from nas_attn.network import UNetConfig, network_problems
from nas_attn.ranking.verification import Verdict

_KIND = FileKind(
    "an architecture file",
    f"format: {FORMAT}",
    ExportError,
    example="an architecture file, such as best.yaml",
    missing="; 'nas-attn export STUDY -o {path}' writes one",
)
_FIELDS = ("format", "network", "placement", "classes", "input", "found", "results", "verified")
_START = f"an architecture file starts with 'format: {FORMAT}'"


def read_architecture(path: str | Path, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Read what ``write_architecture`` wrote, or what a person made of it.

    Args:
        path: of the file.
        kinds: the attention kinds by name.
    Raises:
        ExportError: the file cannot be read, is of a newer format, or is wrong; all problems are named, each
            with its line and field.
    """
    path = Path(path)
    return parse_architecture(read_text(path, _KIND), shown_path(path), kinds)


def parse_architecture(text: str, where: str, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Read the content of an architecture file.

    Args:
        text: the content.
        where: the file, as its reader knows it.
        kinds: the attention kinds by name.
    Raises:
        ExportError: see ``read_architecture``.
    """
    problems = Problems(where, _KIND)
    root = parse_document(text, problems)
    _check_format(root, where)
    return _architecture(root, problems, kinds)


def _architecture(root: Entry, problems: Problems, kinds: Mapping[str, AttentionKind]) -> Architecture:
    """Raises SpaceError with all problems, as ``Problems`` does."""
    top = Section(root, problems, _FIELDS)
    network = _network(top, problems)
    placement = read_placement(top, network, problems, kinds)
    before = len(problems)
    classes = top.texts("classes")
    taken = top.section("input", ("image_size", "mean", "std"))
    image_size = taken.whole("image_size", 1) if taken else 0
    mean, std = (taken.numbers("mean"), taken.numbers("std")) if taken else ((), ())
    if network is not None and taken is not None and len(problems) == before:
        entries = top.fields | taken.fields
        for name, problem in input_problems(network, classes, mean, std, image_size):
            problems.add(entries[name], problem)
    found, results, verified = _found(top, problems), _results(top), _verified(top)
    problems.raise_if_any()
    if network is None or placement is None:
        raise AssertionError("a network or a placement that cannot be read is a problem")
    return Architecture(network, placement, classes, mean, std, image_size, found, results, verified)


def _check_format(root: Entry, where: str) -> None:
    """The format before all else: what a newer one means cannot be judged."""
    if not isinstance(root.value, dict):
        raise ExportError(f"{where}: line {root.line}: this is {root.shown}, not an architecture; {_START}")
    if "format" not in root.value:
        raise ExportError(f"{where}: field 'format' is missing; {_START}")
    entry = root.value["format"]
    if isinstance(entry.value, bool) or not isinstance(entry.value, int) or entry.value < 1:
        raise ExportError(f"{where}: line {entry.line}: format: is {entry.shown}; {_START}")
    if entry.value > FORMAT:
        raise ExportError(
            f"{where}: line {entry.line}: format: written by a newer nas-attn (format {entry.value}, known: up to "
            f"{FORMAT}); pip install --upgrade nas-attn"
        )


def _network(top: Section, problems: Problems) -> UNetConfig | None:
    names = [field.name for field in fields(UNetConfig)]
    section = top.section("network", names)
    if section is None or not section.fields:
        return None
    before = len(problems)
    values = {name: section.fields[name] for name in names if name in section.fields}
    for name, entry in values.items():
        for problem in network_problems({name: entry.value}):
            problems.add(entry, problem.removeprefix(f"{name} "))
    for name in names:
        if name not in values and name != "frames":  # still images say nothing of them
            problems.add(section.entry, f"field '{name}' is missing")
    if len(problems) > before:
        return None
    return UNetConfig(**{name: entry.value for name, entry in values.items()})  # type: ignore[arg-type]


def _optional(top: Section, name: str, value: type[Found | Results | Verified], *earlier: str) -> Section | None:
    """The section of a value; None where the file has none, or nothing in it can be read.

    Args:
        top: the whole file.
        name: of the section.
        value: whose fields it has.
        earlier: further fields, of files of earlier versions.
    """
    if name not in top.fields:
        return None
    section = top.section(name, [*(field.name for field in fields(value)), *earlier])
    return section if section and section.fields else None


def _found(top: Section, problems: Problems) -> Found | None:
    section = _optional(top, "found", Found)
    if section is None:
        return None
    return Found(
        study=section.text("study"),
        space=section.text("space"),
        strategy=section.text("strategy"),
        trials=section.whole("trials"),
        budget=_budget(section, problems),
        seeds=section.wholes("seeds"),
        data=section.text("data"),
        data_fingerprint=section.text("data_fingerprint"),
        device=section.text("device"),
        version=section.text("version"),
        date=section.text("date"),
        converged=section.maybe_flag("converged"),
    )


def _budget(found: Section, problems: Problems) -> Budget:
    section = found.section("budget", [field.name for field in fields(Budget)])
    if section is None or not section.fields:
        return Budget(1, 1, 1)
    try:
        return Budget(
            steps=section.whole("steps", 1),
            image_size=section.whole("image_size", 1),
            batch_size=section.whole("batch_size", 1),
            train_fraction=section.number("train_fraction"),
        )
    except UsageError as error:
        problems.add(section.entry, "; ".join(error.problems))
        return Budget(1, 1, 1)


def _results(top: Section) -> Results | None:
    section = _optional(top, "results", Results)
    if section is None:
        return None
    return Results(
        rank=section.whole("rank", 1),
        iou_mean=section.number("iou_mean"),
        iou_interval=section.maybe_interval("iou_interval"),
        delta=section.maybe_number("delta"),
        delta_interval=section.maybe_interval("delta_interval"),
        n_seeds=section.whole("n_seeds", 1),
        macs=section.whole("macs"),
        parameters=section.whole("parameters"),
        latency_ms=section.maybe_number("latency_ms"),
        peak_memory_mib=section.maybe_number("peak_memory_mib"),
    )


def _verified(top: Section) -> Verified | None:
    section = _optional(top, "verified", Verified, "holds")
    if section is None:
        return None
    return Verified(
        verdict=_verdict(section),
        iou=section.number("iou"),
        iou_plain=section.number("iou_plain"),
        delta=section.maybe_number("delta"),
        delta_interval=section.maybe_interval("delta_interval"),
        n_seeds=section.whole("n_seeds"),
        n_looks=section.whole("n_looks", 1),
        collapsed=section.whole("collapsed") if "collapsed" in section.fields else 0,
    )


def _verdict(verified: Section) -> Verdict:
    """Earlier files say ``holds`` instead, true or false, or null where nothing was known of the noise."""
    if "verdict" in verified.fields or "holds" not in verified.fields:
        return verified.one_of("verdict", Verdict)
    if verified.maybe_flag("holds"):
        return Verdict.CONFIRMED
    interval = verified.maybe_interval("delta_interval")
    return Verdict.REFUTED if interval is not None and interval.high < 0 else Verdict.NOT_SHOWN
