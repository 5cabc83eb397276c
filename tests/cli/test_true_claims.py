"""Searches on the command line whose truth is known: what a collapsed seed or a harmful kind must not become."""

from __future__ import annotations

import json
import random

import pytest

from nas_attn.cli.main import main
from nas_attn.record import Cost, Outcome, Score
from tests.searching import evaluate_by

SPACE = """
version: 1
name: harmful
network: {family: unet, depth: 2, norm: batch, upsampling: transpose}
choices:
  encoder: [none, se, {kind: hard, keep: 0.25}]
  bottleneck: [none, se, {kind: hard, keep: 0.25}]
  skip: [none, se]
  decoder: [none, se, {kind: hard, keep: 0.25}]
"""
FLAGS = ("--base-channels", "4", "--image-size", "16", "--batch-size", "2", "--steps", "4", "--device", "cpu")


def judge(placement, budget, seed):
    """Nothing helps; `hard` loses thirty points and scatters; with seed 2 everybody fails; one run collapses."""
    draw = random.Random(f"{placement.id} {seed} {budget.steps}")
    iou = 0.82 + 0.008 * random.Random(f"seed {seed}").gauss(0, 1) + 0.003 * draw.gauss(0, 1)
    if any(spec.kind == "hard" for _, spec in placement):
        iou = 0.5 + 0.05 * draw.gauss(0, 1)
    elif seed == 2:
        iou = 0.5 + 0.03 * draw.gauss(0, 1)
    elif seed == 6 and placement.attended:
        iou -= 0.3 * (draw.random() < 0.3)
    cost = Cost(1000, 1000 + len(placement.attended))
    return Outcome(Score(iou, (iou, iou, iou), 0.5), cost, (), 0.01)


@pytest.fixture
def searched(tmp_path, monkeypatch, capsys):
    """What the search prints, below a folder with its study."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harmful.yaml").write_text(SPACE)
    evaluate_by(monkeypatch, judge)
    words = [
        "search",
        "--space",
        "harmful.yaml",
        "--study",
        "world",
        "--trials",
        "120",
        "--no-stop",
        "--worth",
        "1",
    ]
    assert main([*words, *FLAGS]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_neither_a_collapsed_seed_nor_a_harmful_kind_becomes_a_gain(searched, capsys):
    assert "Equivalent: no placement of the attentions that were tried gains more than" in searched
    assert "The baseline collapsed with seed 2 (a collapsed run ended far below" in searched
    assert "no comparison uses it, because a difference to a failed training means nothing." in searched
    assert "best.yaml, which is the baseline: no placement is significantly better" in searched
    assert "are left out of the IoU. They show how often training fails, which counts against" in searched

    main(["rank", "world", "--json"])
    rows = json.loads(capsys.readouterr().out)
    plain = next(row for row in rows if set(row["placement"].values()) == {"none"})
    assert plain["iou_mean"] == pytest.approx(0.82, abs=0.01)
    tested = [row for row in rows if row["delta_ci_low"] not in (None, 0.0)]
    assert len(tested) >= 5
    for row in tested:
        assert row["better_than_baseline"] != "better"
        # The noise of the others is not that of the runs that collapsed: 0.4 points and not tens.
        assert row["delta_ci_high"] - row["delta_ci_low"] < 0.03
    assert not any("hard" in str(row["placement"]) for row in rows[:5])

    assert main(["export", "world", "-o", "best.yaml"]) == 0
    assert main(["export", "world", "--pick", "first", "-o", "first.yaml"]) == 0
    capsys.readouterr()
