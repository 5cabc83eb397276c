"""``nas-attn export``: each way to pick writes a file that loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import nas_attn
from nas_attn.architecture import read_architecture
from nas_attn.cli.main import main
from nas_attn.models.catalogue import catalogue
from nas_attn.training.metrics import count_parameters


@pytest.fixture
def rows(tiny_study, capsys):
    assert main(["rank", "tiny", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def expected_row(rows, pick):
    if pick == "best":
        better = (row for row in rows if row["better_than_baseline"] == "better")
        return next(better, next(row for row in rows if set(row["placement"].values()) == {"none"}))
    if pick == "first":
        return next(row for row in rows if set(row["placement"].values()) != {"none"})
    if pick.startswith("id:"):
        return next(row for row in rows if row["placement_id"].startswith(pick[3:]))
    return None


@pytest.mark.parametrize(
    "pick", ["best", "first", "knee", "one-se", "under:macs=1.02x", "under:parameters=31k", "id"]
)
def test_each_pick_writes_an_architecture_of_the_ranking(rows, pick, capsys, tmp_path):
    pick = f"id:{rows[-1]['placement_id'][:6]}" if pick == "id" else pick
    assert main(["export", "tiny", "--pick", pick, "-o", "picked.yaml"]) == 0
    printed = capsys.readouterr().out
    architecture = read_architecture(tmp_path / "picked.yaml", catalogue())
    row = next(row for row in rows if row["placement_id"] == architecture.placement.id)

    assert expected_row(rows, pick) in (row, None)
    assert f"(rank {row['rank']}, {row['placement_id']})" in printed
    assert count_parameters(nas_attn.load("picked.yaml")) == row["parameters"]
    if pick.startswith("under:macs"):
        plain = next(row for row in rows if set(row["placement"].values()) == {"none"})
        assert row["macs"] <= 1.02 * plain["macs"]
    if pick.startswith("under:parameters"):
        assert row["parameters"] <= 31_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny", "--pick", "bst", "-o", "x.yaml"], "did you mean 'best'?"),
        (["tiny", "--pick", "under:mac=1x", "-o", "x.yaml"], "unknown cost 'mac'; did you mean 'macs'?"),
        (["tiny", "--pick", "under:macs=0.1x", "-o", "x.yaml"], "no placement is at or below"),
        (["tiny", "--pick", "id:zzz", "-o", "x.yaml"], "no placement has an id that starts with 'zzz'"),
        (["tinny", "-o", "x.yaml"], "did you mean 'tiny'?"),
        (["tiny", "-o", "no/such/folder/x.yaml"], "no/such/folder"),
        (["tiny"], "the following arguments are required: -o/--output"),
    ],
)
def test_a_mistake_is_one_clear_line(tiny_study, refused, words, message, tmp_path):
    (line,) = refused("export", *words)

    assert message in line
    assert not (tmp_path / "x.yaml").exists()


def test_several_formats_of_a_study_are_written_and_compared(tiny_study, capsys, tmp_path):
    assert main(["export", "tiny", "--format", "python,card", "-o", "out"]) == 0
    printed = capsys.readouterr().out.splitlines()
    card = (tmp_path / "out.md").read_text(encoding="utf-8")

    assert printed[1].startswith("  out.py: equal to the bit on ")
    assert printed[2] == "  out.md: parameters and MACs, counted again, are those of the search"
    assert "**The study: " in card
    assert "Baseline, IoU x100: " in card
    assert "nas-attn search --config studies/tiny/study.yaml" in card


def test_the_call_of_smp_is_printed(tiny_study, capsys):
    pytest.importorskip("segmentation_models_pytorch", reason="needs pip install -e '.[reference]'")
    plain = next(row for row in json.loads(rank_json(capsys)) if set(row["placement"].values()) == {"none"})
    assert main(["export", "tiny", "--pick", f"id:{plain['placement_id']}", "--format", "smp"]) == 0
    printed = capsys.readouterr().out

    compile(printed, "printed", "exec")
    assert "smp.Unet(" in printed
    assert printed.splitlines()[-1].startswith("# Checked: the network of smp was built")


def rank_json(capsys):
    assert main(["rank", "tiny", "--json"]) == 0
    return capsys.readouterr().out


def test_a_folder_here_of_the_studys_name_is_not_the_study(tiny_study, capsys):
    Path("tiny").mkdir()
    shutil.copy("studies/tiny/best.yaml", "tiny/architecture.yaml")
    assert main(["export", "tiny", "--pick", "best", "-o", "best.yaml"]) == 0
    assert "(rank " in capsys.readouterr().out
