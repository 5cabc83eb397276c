"""Names and YAML that a declaration must not hold: told by the check, before anything is trained."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nas_attn.data import check_folder, read_folder
from nas_attn.errors import DataError


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (
            'classes: [background, "cell\\xa0wall"]',
            "line 1: classes: the class 'cell\\xa0wall' holds characters that cannot be shown (\\xa0)",
        ),
        (
            'classes: [background, "\\e[2Jx"]',
            "the class '\\x1b[2Jx' holds characters that cannot be shown (\\x1b)",
        ),
        ('mask_values: {0: background, 1: "a\\u202eb"}', "mask_values: the class 'a\\u202eb' holds characters"),
        (
            'name: "my\\tdata"',
            "dataset.yaml: line 1: name: 'my\\tdata' holds characters that cannot be shown (\\t)",
        ),
        (f"classes: [background, {'x' * 300}]", "has 300 letters; at most 200 are possible"),
    ],
    ids=["no-break space", "escape", "direction", "tab in the name", "long"],
)
def test_a_name_that_no_export_could_write_is_a_problem_of_the_data(make_folder, written, line):
    folder = make_folder()
    (folder / "dataset.yaml").write_text(written, encoding="utf-8")

    (problem,) = check_folder(folder).problems
    assert line in problem
    with pytest.raises(DataError, match=r"characters that cannot be shown|300 letters"):
        read_folder(folder)


def test_a_json_declaration_is_judged_alike(make_folder):
    folder = make_folder()
    (folder / "dataset.json").write_text('{"classes": ["background", "a\\u00a0b"]}')

    (problem,) = check_folder(folder).problems
    assert "the class 'a\\xa0b' holds characters that cannot be shown" in problem


def test_a_folder_of_an_unseen_name_is_given_another_in_its_declaration(make_folder):
    folder = make_folder()
    folder = folder.rename(folder.with_name("my\xa0cells"))
    (problem,) = check_folder(folder).problems
    assert problem == (
        "the folder's name 'my\\xa0cells' holds characters that cannot be shown (\\xa0); write it without them, "
        "or give the data another name in dataset.yaml, as name: nuclei"
    )

    (folder / "dataset.yaml").write_text("name: cells")
    assert check_folder(folder).problems == ()


@pytest.mark.parametrize("name", ["[/x]", "[red]", ":bomb:", "<b>&amp;", "Zellkern ±", "日本"])
def test_markup_is_a_name_like_others(make_folder, name):
    folder = make_folder()
    (folder / "dataset.yaml").write_text(f"classes: [background, {name!r}]", encoding="utf-8")

    assert read_folder(folder).classes == ("background", name)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (
            "classes: [a, b]\nin_channels: 3\nclasses: [c, d]\n",
            "dataset.yaml: line 3: classes: written twice, first at line 1",
        ),
        (
            "mask_values:\n  0: a\n  1: b\n  1: c\n",
            "dataset.yaml: line 4: mask_values.1: written twice, first at line 3",
        ),
        ("mask_values: {0: a, 1: b, 01: c}", "line 1: mask_values: a value is given twice, such as 1 and 01"),
    ],
    ids=["field", "value", "value in other digits"],
)
def test_what_is_written_twice_is_told(make_folder, written, line):
    folder = make_folder()
    (folder / "dataset.yaml").write_text(written)

    assert any(line in problem for problem in check_folder(folder).problems)


def test_a_declaration_of_nested_brackets_is_refused_at_once(make_folder):
    folder = make_folder()
    (folder / "dataset.yaml").write_text("classes: " + "[" * 20_000 + "]" * 20_000)
    code = f"from nas_attn.data import check_folder; print(*check_folder({str(folder)!r}).problems, sep='\\n')"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert ended.stdout.splitlines() == [
        "dataset.yaml: line 1: nested deeper than 10 levels; a declaration needs 4"
    ]
