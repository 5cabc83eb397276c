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
from nas_attn.reporting.progress.pace import Pace, seconds_left, slowness, trial_seconds
from nas_attn.space import read_space
from nas_attn.steps import StepCount
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


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self):
        return self.now


def pace(trials=40, workers=2, forecast=10.0, **others):
    return Pace(trials=trials, workers=workers, first=BUDGET, forecast=forecast, **others)


def shown(records, *, terminal, trials=40, cost="macs", width=120):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, highlight=False)
    with SearchProgress(console, pace(trials), cost=cost) as progress:
        progress(records)
        if terminal:
            progress._live.refresh()
    return file.getvalue()


def test_a_terminal_shows_bar_phase_best_and_front(records):
    text = shown(records, terminal=True)

    assert "11/40 trials" in text
    assert "so far, about 7 min left" in text  # 29 trials of 30 s by two workers
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
    with SearchProgress(console, pace(trials=200, workers=1, forecast=1.0), cost="macs") as progress:
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


def drawn_anew(progress, file):
    """What the display shows now, without all that it has shown before."""
    file.truncate(0)
    progress._live.refresh()
    return file.getvalue()


def test_the_display_is_drawn_anew_between_trials(records):
    clock, file = Clock(), io.StringIO()
    console = Console(file=file, force_terminal=True, width=120, highlight=False)
    with SearchProgress(console, pace(clock=clock), cost="macs") as progress:
        progress(records)
        progress.follow(11, StepCount(30, 200))
        progress._live.refresh()
        assert "0 s so far, about 7 min left" in file.getvalue()
        assert "30/200 steps" in file.getvalue()

        clock.now = 55.0  # no trial has ended meanwhile
        progress.follow(11, StepCount(180, 200))
        drawn = drawn_anew(progress, file)
    assert "55 s so far" in drawn
    assert "180/200 steps" in drawn
    assert "trial 11" in drawn


def test_the_display_fits_a_narrow_terminal(records):
    text = shown(records, terminal=True, width=80)

    assert "11/40 trials" in text
    assert "about 7 min left" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_of_a_trial_under_way_the_placement_is_shortened_and_not_its_steps(records, width):
    file = io.StringIO()
    kinds = ("se(reduction=4)", "cbam(reduction=4)")
    mixed = records[11].placement
    for number, (location, _) in enumerate(mixed):
        mixed = mixed.replace(location, AttentionSpec.parse(kinds[number % 2]))
    running = replace(records[11], placement=mixed)
    with SearchProgress(Console(file=file, force_terminal=True, width=width), pace(), cost="macs") as progress:
        progress([*records[:11], running])
        progress.follow(11, StepCount(120, 200))
        drawn = drawn_anew(progress, file)
    assert "trial 11" in drawn
    assert "120/200 steps" in drawn


def test_what_was_found_so_far_is_told_when_a_search_is_stopped(records):
    console = Console(file=io.StringIO(), width=120)
    progress = SearchProgress(console, pace(), cost="macs")
    progress(records)

    assert progress.so_far().startswith("11/40 trials; baseline ")
    assert "best so far" in progress.so_far()


def timed(records, *seconds, role=Role.PROPOSAL, budget=BUDGET):
    """The first records again, having taken so long."""
    shown = zip(records, seconds, strict=False)
    return [
        replace(one, role=role, budget=budget, outcome=replace(one.outcome, seconds=taken)) for one, taken in shown
    ]


def test_a_trial_to_come_takes_what_such_trials_took(records):
    references = timed(records, 90.0, 90.0, role=Role.REFERENCE)
    proposals = timed(records, 20.0, 30.0, 40.0)

    assert trial_seconds([], BUDGET, BUDGET, 10.0) == 10
    assert trial_seconds(references, BUDGET, BUDGET, 10.0) == 90
    assert trial_seconds([*references, *proposals], BUDGET, BUDGET, 10.0) == 30


def test_while_the_steps_are_doubled_a_full_trial_takes_its_share_of_what_short_ones_took(records):
    probes = timed(records, 10.0, 10.0, role=Role.REFERENCE)  # of 200 steps
    top = Budget(800, 32, 8)

    assert trial_seconds(probes, top, BUDGET, 10.0) == 40
    assert trial_seconds([], top, BUDGET, 10.0) == 40


def test_of_a_ladder_trials_to_come_are_as_long_as_the_latest(records):
    short = timed(records, 10.0, 10.0, 10.0)
    full = timed(records, 70.0, budget=Budget(800, 32, 8))

    assert trial_seconds([*short, *full], Budget(800, 32, 8), BUDGET, 1.0) == (3 * 10 + 70) / 4


def test_trials_under_way_count_by_what_is_left_of_them():
    assert seconds_left(10, 30.0, [], 2, 1.0) == 150
    assert seconds_left(10, 30.0, [15.0, 15.0], 2, 1.0) == (8 * 30 + 2 * 15) / 2
    assert seconds_left(1, 30.0, [10.0], 8, 1.0) == 20, "one trial takes what it takes, however many workers"
    assert seconds_left(0, 30.0, [], 2, 1.0) == 0
    assert seconds_left(10, 30.0, [], 2, 1.5) == 225


def test_what_a_search_takes_beside_its_trials_is_part_of_the_time_left():
    assert slowness(100.0, 2, 200.0) == 1
    assert slowness(150.0, 2, 200.0) == 1.5
    assert slowness(10.0, 2, 0.0) == 1


def test_a_resumed_search_has_one_estimate(records):
    """Not that of the forecast, which knew nothing of the study's trials."""
    done = timed(records, *[40.0] * 10)
    one = pace(trials=30, forecast=5.0)

    assert one.each(done) == 40
    assert one.left(done) == 20 * 40 / 2


def test_the_clock_of_this_process_slows_the_estimate_down(records):
    clock = Clock()
    one = pace(trials=30, clock=clock)
    started = [replace(record, state=State.RUNNING, outcome=None) for record in records[:4]]
    one.note(started)
    clock.now = 120.0  # four trials of 40 s by two workers are 80 s
    done = timed(records, *[40.0] * 4)
    one.note(done)

    assert one.left(done) == pytest.approx(1.5 * 26 * 40 / 2)


def test_steps_under_way_correct_the_forecast_before_a_trial_has_ended(records):
    """Timed alone, a trial of 200 steps took 10 s; beside others a step takes 0.2 s."""
    clock = Clock()
    one = pace(trials=30, clock=clock)
    running = [replace(record, state=State.RUNNING, outcome=None) for record in records[:2]]
    one.note(running)
    assert one.each(running) == 10
    for seconds, taken in ((8.0, 0), (10.0, 10), (12.0, 20)):  # 8 s went by until it was built
        clock.now = seconds
        one.follow(0, StepCount(taken, 200))
    assert one.each(running) == pytest.approx(40)
    assert one.each(timed(records, 25.0, 25.0, 25.0)) == 25, "trials that have ended tell more"
