from __future__ import annotations

import os
import stat
import string
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_attn.analysis import Interval
from nas_attn.architecture import Architecture, Found, Results, read_architecture, write_architecture
from nas_attn.architecture.read import parse_architecture
from nas_attn.architecture.write import architecture_text
from nas_attn.budget import Budget
from nas_attn.errors import ExportError
from nas_attn.models.kind import AttentionKind
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location, Placement

Kinds = Mapping[str, AttentionKind]


def test_what_is_written_reads_back_equal(architecture: Architecture, kinds: Kinds, tmp_path: Path) -> None:
    path = write_architecture(architecture, tmp_path / "best.yaml", kinds)
    assert read_architecture(path, kinds) == architecture


def test_the_file_is_plain_yaml_with_every_option_written_out(
    architecture: Architecture, kinds: Kinds, tmp_path: Path
) -> None:
    path = write_architecture(architecture, tmp_path / "best.yaml", kinds)
    values = yaml.safe_load(path.read_text())
    assert list(values) == ["format", "network", "placement", "classes", "input", "found", "results", "verified"]
    assert values["format"] == 1
    assert values["network"] == {
        "in_channels": 3,
        "classes": 2,
        "depth": 2,
        "base_channels": 8,
        "norm": "batch",
        "upsampling": "transpose",
    }
    assert list(values["placement"]) == [str(location) for location in architecture.network.locations]
    assert values["placement"]["skip.1"] == {
        "kind": "cbam",
        "reduction": 4,
        "kernel_size": 7,
        "slope": 0.1,
        "residual": False,
        "start": "neutral",
    }
    assert values["placement"]["skip.0"] == {"kind": "gate", "variant": "common", "start": "identity"}
    assert values["placement"]["encoder.0"] == {"kind": "none"}
    assert values["results"]["delta_interval"] == [0.004, 0.014]
    assert values["results"]["peak_memory_mib"] is None
    assert values["verified"] == {
        "verdict": "confirmed",
        "iou": 0.8012345678901,
        "iou_baseline": 0.79,
        "delta": 0.0112345678901,
        "delta_interval": [0.002, 0.02],
        "n_seeds": 5,
        "n_looks": 2,
        "collapsed": 0,
    }


def test_no_field_of_a_part_is_lost(architecture: Architecture, kinds: Kinds) -> None:
    """Each has a value that is not its default."""
    assert architecture.found is not None
    assert architecture.results is not None
    assert architecture.verified is not None
    budget = Budget(steps=60, image_size=64, batch_size=8, train_fraction=0.5, pretraining=540)
    whole = replace(
        architecture,
        found=replace(
            architecture.found,
            budget=budget,
            loss="focal",
            class_weights=(0.5, 2.0),
            foreground=0.33,
            folds=5,
            metric="mean-dice",
        ),
        results=replace(
            architecture.results, peak_memory_mib=12.5, latency_ratio=1.25, latency_device="cpu: x, 1 thread"
        ),
        verified=replace(architecture.verified, collapsed=2),
    )
    for part in (whole.found, budget, whole.results, whole.verified):
        for field in fields(part):  # type: ignore[arg-type]
            assert getattr(part, field.name) != field.default, field.name
    assert parse_architecture(architecture_text(whole, kinds, "best.yaml"), "best.yaml", kinds) == whole


def test_an_unknown_verdict_is_refused_with_the_known_ones(architecture: Architecture, kinds: Kinds) -> None:
    text = architecture_text(architecture, kinds, "best.yaml").replace("verdict: confirmed", "verdict: maybe")
    with pytest.raises(ExportError, match=r"verdict: 'maybe' must be confirmed \| not shown \| refuted"):
        parse_architecture(text, "best.yaml", kinds)


def test_a_file_that_was_not_verified_says_so_with_the_command(architecture: Architecture, kinds: Kinds) -> None:
    unverified = replace(architecture, verified=None)
    text = architecture_text(unverified, kinds, "best.yaml")
    words = " ".join(text.replace("# ", "").split())
    assert f"Not verified yet: 'nas-attn verify nuclei --pick id:{unverified.placement.id}' runs it" in words
    assert parse_architecture(text, "best.yaml", kinds) == unverified
    assert architecture.results is not None
    third = replace(unverified, results=replace(architecture.results, rank=3))
    assert f"'nas-attn verify nuclei --pick id:{third.placement.id}'" in third.unverified


@pytest.mark.parametrize(
    "changes", [{"found": None}, {"results": None}, {}], ids=["by hand", "not measured", "verified"]
)
def test_what_has_no_claim_or_is_verified_asks_for_nothing(
    architecture: Architecture, changes: dict[str, None]
) -> None:
    assert replace(architecture, **({"verified": None} if changes else {}), **changes).unverified == ""
    plain = replace(architecture, placement=architecture.network.plain, verified=None)
    assert plain.unverified == ""


def test_the_header_says_what_it_is_and_how_to_use_it(architecture: Architecture, kinds: Kinds) -> None:
    header = architecture_text(architecture, kinds, "winner.yaml").partition("\nformat")[0]
    assert "gate(start=identity) at skip.0" in header
    assert 'nas_attn.load("winner.yaml")' in header
    assert "nas-attn train winner.yaml --data FOLDER" in header
    assert all(line.startswith("#") for line in header.splitlines() if line)


def test_a_file_name_with_a_line_break_cannot_write_into_the_file(
    architecture: Architecture, kinds: Kinds, tmp_path: Path
) -> None:
    path = write_architecture(architecture, tmp_path / "a\nclasses: [x]\n.yaml", kinds)
    assert read_architecture(path, kinds) == architecture


NETWORKS = st.builds(
    UNetConfig,
    in_channels=st.integers(1, 5),
    classes=st.integers(2, 5),
    depth=st.integers(2, 5),
    base_channels=st.integers(1, 64),
    norm=st.sampled_from(["batch", "group", "instance"]),
    upsampling=st.sampled_from(["transpose", "bilinear"]),
)
WORDS = st.text(string.printable + "äµ中 '\"#:&*!|>%@`-", max_size=20).filter(str.isprintable)
NUMBERS = st.floats(-1e6, 1e6)
POSITIVE = st.floats(1e-9, 1e6)


@st.composite
def specs(draw: st.DrawFn, kinds: Kinds, location: Location) -> AttentionSpec:
    kind = kinds[draw(st.sampled_from([name for name, kind in kinds.items() if location.stage in kind.stages]))]
    values = {
        "reduction": st.integers(1, 64),
        "kernel_size": st.sampled_from([3, 7]),
        "slope": st.floats(0, 1e6),
        "residual": st.booleans(),
        "variant": st.sampled_from(["common", "oktay"]),
        "start": st.sampled_from(["neutral", "identity"]),
    }
    return kind.spec(
        {option.name: draw(values[option.name]) for option in kind.all_options if draw(st.booleans())}
    )


@st.composite
def intervals(draw: st.DrawFn) -> Interval | None:
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return draw(st.sampled_from([None, Interval(low, high)]))


@st.composite
def architectures(draw: st.DrawFn, kinds: Kinds) -> Architecture:
    network = draw(NETWORKS)
    found = st.builds(
        Found,
        study=WORDS,
        space=WORDS,
        strategy=WORDS,
        trials=st.integers(0, 10**6),
        budget=st.builds(
            Budget,
            st.integers(1, 9999),
            st.integers(1, 999),
            st.integers(1, 99),
            st.floats(0, 1, exclude_min=True),
        ),
        seeds=st.lists(st.integers(0, 2**31)).map(tuple),
        data=WORDS,
        data_fingerprint=st.text("0123456789abcdef", max_size=12),
        device=WORDS,
        version=WORDS,
        date=st.dates().map(str),
        converged=st.sampled_from([None, True, False]),
    )
    results = st.builds(
        Results,
        rank=st.integers(1, 999),
        iou_mean=NUMBERS,
        iou_interval=intervals(),
        delta=st.none() | NUMBERS,
        delta_interval=intervals(),
        n_seeds=st.integers(1, 99),
        macs=st.integers(0, 10**14),
        parameters=st.integers(0, 10**12),
        latency_ms=st.none() | NUMBERS,
        peak_memory_mib=st.none() | NUMBERS,
        latency_ratio=st.none() | NUMBERS,
        latency_device=WORDS,
    )
    return Architecture(
        network=network,
        placement=Placement(tuple((place, draw(specs(kinds, place))) for place in network.locations)),
        classes=tuple(draw(st.lists(WORDS, min_size=network.classes, max_size=network.classes))),
        mean=tuple(draw(st.lists(NUMBERS, min_size=network.in_channels, max_size=network.in_channels))),
        std=tuple(draw(st.lists(POSITIVE, min_size=network.in_channels, max_size=network.in_channels))),
        image_size=draw(st.integers(network.min_image_size, 4096)),
        found=draw(st.none() | found),
        results=draw(st.none() | results),
    )


@settings(max_examples=60)
@given(data=st.data())
def test_any_architecture_reads_back_equal(kinds: Kinds, data: st.DataObject) -> None:
    architecture = data.draw(architectures(kinds))
    text = architecture_text(architecture, kinds, "x.yaml")
    assert parse_architecture(text, "x.yaml", kinds) == architecture
    assert isinstance(yaml.safe_load(text), dict)


def test_writing_leaves_nothing_but_the_file(architecture: Architecture, kinds: Kinds, tmp_path: Path) -> None:
    write_architecture(architecture, tmp_path / "best.yaml", kinds)
    assert [path.name for path in tmp_path.iterdir()] == ["best.yaml"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "best.yaml").stat().st_mode) == 0o666 & ~mask


def test_a_file_that_is_there_is_replaced(architecture: Architecture, kinds: Kinds, tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("old")
    write_architecture(architecture, path, kinds)
    write_architecture(replace(architecture, found=None), path, kinds)
    assert read_architecture(path, kinds).found is None


def test_the_old_file_survives_a_failed_write(
    architecture: Architecture, kinds: Kinds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ExportError, match=r"best\.yaml: cannot be written: No space left on device"):
        write_architecture(architecture, path, kinds)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["best.yaml"]


def test_a_link_is_followed_not_replaced(architecture: Architecture, kinds: Kinds, tmp_path: Path) -> None:
    target = tmp_path / "target.yaml"
    link = tmp_path / "link.yaml"
    link.symlink_to(target)
    write_architecture(architecture, link, kinds)
    assert link.is_symlink()
    assert read_architecture(target, kinds) == architecture


def test_unwritable_places_are_refused(architecture: Architecture, kinds: Kinds, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    os.mkfifo(tmp_path / "pipe")
    for path, problem in (
        (tmp_path, "this is a folder; name a file in it, such as .*best.yaml"),
        (tmp_path / "missing" / "best.yaml", "there is no folder .*missing; create it first"),
        (tmp_path / "file" / "best.yaml", "there is no folder .*file; create it first|Not a directory"),
        (tmp_path / "pipe", "this is not a regular file"),
        (tmp_path / ("x" * 300), "cannot be written: File name too long"),
        (tmp_path / "a\0b", "cannot be written: .*null"),
    ):
        with pytest.raises(ExportError, match=problem):
            write_architecture(architecture, path, kinds)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "pipe"]


def test_unknown_kinds_and_options_are_not_written(
    architecture: Architecture, kinds: Kinds, tmp_path: Path
) -> None:
    placement = architecture.placement
    for place, text in (("skip.0", "gte"), ("skip.1", "se(reduction=0)")):
        placement = placement.replace(Location.parse(place), AttentionSpec.parse(text))
    with pytest.raises(ExportError) as caught:
        write_architecture(replace(architecture, placement=placement), tmp_path / "best.yaml", kinds)
    assert caught.value.problems == (
        "skip.0: unknown attention 'gte'; did you mean 'gate'?",
        "skip.1: se: reduction is 0; it must be a whole number of at least 1",
    )
    assert list(tmp_path.iterdir()) == []
