"""Which file each format is written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_attn.errors import UsageError
from nas_attn.export.formats import FORMATS, known_formats, targets


@pytest.mark.parametrize(
    ("output", "name"), [(f"a/best{suffix}", one.name) for one in FORMATS.values() for suffix in one.suffixes]
)
def test_the_suffix_says_the_format(output: str, name: str) -> None:
    assert targets(Path(output), None) == {"python" if output == "a/best.py" else name: Path(output)}
    assert targets(Path(output), [name]) == {name: Path(output)}


def test_capitals_in_a_suffix_do_not_matter() -> None:
    assert targets(Path("BEST.PY"), None) == {"python": Path("BEST.PY")}


def test_several_formats_share_a_name() -> None:
    files = targets(Path("out/v1.2"), ["yaml", "python"])

    assert files == {"yaml": Path("out/v1.2.yaml"), "python": Path("out/v1.2.py")}


def test_a_said_format_needs_no_suffix() -> None:
    assert targets(Path("net"), ["python"]) == {"python": Path("net")}
    assert targets(Path("net.txt"), ["yaml"]) == {"yaml": Path("net.txt")}


@pytest.mark.parametrize(
    ("output", "formats", "message"),
    [
        (
            "best",
            None,
            r"best: which format\? Give the file one of these suffixes: \.yaml \(yaml\), \.py \(python\)",
        ),
        ("best.pt", None, "which format"),
        ("best.py", ["yaml"], r"best\.py: has the suffix of a python file, but the format is yaml"),
        ("best.py", ["yaml", "python"], r"leave the suffix out: -o best writes best\.yaml, best\.py"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(output: str, formats: list[str] | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        targets(Path(output), formats)


def test_every_unknown_format_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        known_formats(["pythn", "yaml", "xyz"])

    assert caught.value.problems[0] == "unknown format 'pythn'; did you mean 'python'?"
    assert caught.value.problems[1].startswith("unknown format 'xyz'; known: ")
    assert known_formats(["yaml", " python", "yaml"]) == ("yaml", "python")
