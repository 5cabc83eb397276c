"""Progress on a terminal: a bar, the best against the plain U-Net, the front, the time left."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from nas_attn.budget import Budget
from nas_attn.cli._progress import SearchProgress
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import AttentionSpec
from nas_attn.record import Role, State, TrialRecord
from nas_attn.space import read_space
from nas_attn.training.evaluation import LookupEvaluator

BUDGET = Budget(200, 32, 8)


@pytest.fixture(scope="module")
def records():
    space = read_space("unet_attention_small", catalogue(), base_channels=8, image_size=32)
    evaluate = LookupEvaluator(space)
    placements = [space.plain, *(one for one in space.placements() if one.attended)][:12]
    done = [
        TrialRecord(number, one, BUDGET, 0, Role.PROPOSAL, State.COMPLETE, outcome=evaluate(one, BUDGET, 0))
        for number, one in enumerate(placements)
    ]
    return [
        *(replace(one, outcome=replace(one.outcome, seconds=30.0)) for one in done[:10]),
        replace(done[10], state=State.FAILED, outcome=None, failure="nan"),
        replace(done[11], state=State.RUNNING, outcome=None),
    ]


def shown(records, *, terminal, trials=40, cost="macs"):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=120, highlight=False)
    with SearchProgress(console, trials=trials, workers=2, cost=cost, trial_seconds=10.0) as progress:
        progress(records)
        if terminal:
            progress._live.refresh()
    return file.getvalue()


def test_a_terminal_shows_bar_phase_best_and_front(records):
    text = shown(records, terminal=True)

    assert "11/40 trials" in text
    assert "so far, 7 min left" in text  # 29 trials of 30 s by two workers
    assert "now: proposals, 1 failed" in text
    assert "baseline " in text
    assert "best so far " in text
    assert " IoU points expected (1 seed): " in text
    assert "front" in text


def test_before_the_first_trial_the_forecast_counts(records):
    assert "now: starting the workers" in shown([], terminal=True)
    assert "0/40 trials, about 3 min left; baseline: not finished yet" in shown([], terminal=False)


def test_a_pipe_gets_a_line_only_now_and_then(records):
    file = io.StringIO()
    console = Console(file=file, width=120, highlight=False)
    with SearchProgress(console, trials=200, workers=1, cost="macs", trial_seconds=1.0) as progress:
        for count in range(len(records) + 1):
            progress(records[:count])
    lines = file.getvalue().splitlines()

    assert [line.split(" ")[0] for line in lines] == ["0/200", "10/200"]


@pytest.mark.parametrize("cost", ["macs", "parameters", "latency", "memory"])
def test_every_cost_has_a_front(records, cost):
    assert cost in shown(records, terminal=True, cost=cost)


def test_a_difference_of_nothing_has_no_sign(records):
    same = replace(records[1], outcome=replace(records[1].outcome, score=records[0].outcome.score))
    text = shown([records[0], same], terminal=False, trials=2)

    assert "-0.0" not in text
    assert "+0.0" not in text


def test_a_long_placement_is_shortened_and_the_numbers_stay_whole():
    space = read_space("unet_attention", catalogue(), base_channels=8, image_size=32)
    evaluate = LookupEvaluator(space, spread=0.0)
    kinds = ["se", "eca", "cbam", "scse", "ca"]
    mixed = space.plain
    for number, location in enumerate(space.locations):
        mixed = mixed.replace(location, AttentionSpec(kinds[number % len(kinds)]))
    outcomes = [evaluate(one, BUDGET, 0) for one in (space.plain, mixed)]
    raised = replace(outcomes[1], score=replace(outcomes[1].score, iou=0.9))
    records = [
        TrialRecord(number, one, BUDGET, 0, Role.PROPOSAL, State.COMPLETE, outcome=outcome)
        for number, (one, outcome) in enumerate(zip((space.plain, mixed), (outcomes[0], raised), strict=True))
    ]
    text = shown(records, terminal=True)

    (row,) = {line.strip() for line in text.splitlines() if "\u2026" in line and "90.0" in line}
    assert row.split()[-4:][:1] == ["90.0"]
    assert "IoU x100" in text
    assert "gain" in text
