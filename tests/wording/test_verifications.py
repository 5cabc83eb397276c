"""The figure to report of a placement, or the command that finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nas_attn.analysis import Ranking, Versus, rank
from nas_attn.analysis.result import claimed_row
from nas_attn.analysis.verification import Verification, verification, verification_of
from nas_attn.wording.verifications import (
    confirmation_sentences,
    looks_sentences,
    module_sentences,
    verification_sentences,
    verify_command,
)

Make = Callable[..., Any]


@pytest.fixture
def ranking(record: Make, place: Make) -> Ranking:
    """One with two modules leads, one with a single module follows, the plain U-Net is last."""
    levels = {place(skip_0="se", skip_1="scse"): 0.7, place(decoder_0="eca"): 0.65, place(): 0.6}
    return rank(
        [
            record(3 * row + seed, placement, seed, iou + 0.01 * seed)
            for row, (placement, iou) in enumerate(levels.items())
            for seed in range(3)
        ]
    )


@pytest.fixture
def verified(record: Make, place: Make, ranking: Ranking) -> Callable[..., Verification]:
    """Of a row of the ranking, with or without its ablation."""

    def verify(row: int, *, steps: int = 100, ablated: bool = False) -> Verification:
        winner, plain = ranking.rows[row].placement, place()
        without = {location: winner.replace(location, plain[location]) for location, _ in winner.attended}
        placements = [plain, winner, *(without.values() if ablated else ())]
        records = [
            record(len(placements) * seed + n, placement, 7 + seed, 0.5 + 0.02 * (n == 1), steps=steps)
            for n, placement in enumerate(placements)
            for seed in range(3)
        ]
        return verification(
            records, winner=winner, plain=plain, reference=None, without=without if ablated else {}, found=None
        )

    return verify


def test_what_was_not_verified_is_said_with_the_command_that_does_it(ranking: Ranking) -> None:
    (first,) = confirmation_sentences("nuclei", ranking.rows[0], ranking, ())
    (second,) = confirmation_sentences("my study", ranking.rows[1], ranking, ())
    assert first.startswith("Not verified yet: 'nas-attn verify nuclei' runs it")
    assert f"'nas-attn verify 'my study' --pick id:{ranking.rows[1].placement.id}'" in second


def test_the_verification_of_the_placement_is_told_and_no_other(
    ranking: Ranking, verified: Callable[..., Verification]
) -> None:
    other, own = verified(1), verified(0)
    assert verification_of(ranking.rows[0], ranking, (other, own)) is own
    sentences = confirmation_sentences("nuclei", ranking.rows[0], ranking, (other, own))
    told = verification_sentences(own, "nas-attn verify nuclei")
    assert sentences[:-1] == told
    assert sentences[-1].startswith("2 placements of this study were evaluated on the test data")
    assert confirmation_sentences("nuclei", ranking.rows[0], ranking, (own,)) == told


def test_runs_of_another_budget_verify_nothing(ranking: Ranking, verified: Callable[..., Verification]) -> None:
    shorter = verified(0, steps=50)
    assert verification_of(ranking.rows[0], ranking, (shorter,)) is None
    assert confirmation_sentences("nuclei", ranking.rows[0], ranking, (shorter,))[0].startswith("Not verified yet")


def test_the_plain_unet_claims_nothing(ranking: Ranking) -> None:
    assert ranking.rows[2].is_plain
    assert confirmation_sentences("nuclei", ranking.rows[2], ranking, ()) == ()


def test_modules_are_told_or_the_command_that_measures_them(
    ranking: Ranking, verified: Callable[..., Verification]
) -> None:
    whole, ablated = verified(0), verified(0, ablated=True)
    (missing,) = module_sentences("nuclei", ranking.rows[0], ranking, (whole,))
    assert "'nas-attn verify nuclei --ablate'" in missing
    told = module_sentences("nuclei", ranking.rows[0], ranking, (ablated,))
    assert [sentence.partition(" adds ")[0] for sentence in told] == ["se at skip.0", "scse at skip.1"]
    assert all("+2.0 IoU points" in sentence for sentence in told)


def test_a_single_module_or_an_unverified_placement_has_no_ablation(
    ranking: Ranking, verified: Callable[..., Verification]
) -> None:
    assert module_sentences("nuclei", ranking.rows[1], ranking, (verified(1),)) == ()
    assert module_sentences("nuclei", ranking.rows[0], ranking, ()) == ()


def test_one_look_is_no_choice() -> None:
    assert looks_sentences(1) == looks_sentences(0) == ()
    assert "2 placements" in looks_sentences(2)[0]


def test_a_name_that_the_shell_would_part_is_quoted(ranking: Ranking) -> None:
    assert verify_command("a b") == "nas-attn verify 'a b'"
    assert verify_command("a b", ranking.rows[0].placement).startswith("nas-attn verify 'a b' --pick id:")


def test_what_is_verified_without_being_named_is_the_best_claim_or_else_the_first_with_attention(
    ranking: Ranking, record: Make, place: Make
) -> None:
    assert claimed_row(ranking) is ranking.rows[0]
    late = replace(
        ranking, rows=(replace(ranking.rows[0], better_than_baseline=Versus.UNKNOWN), *ranking.rows[1:])
    )
    assert claimed_row(late) == ranking.rows[1]
    levels = {place(): 0.6, place(skip_0="se"): 0.5}
    worse = rank(
        [record(n, placement, n // 2, iou) for n in range(6) for placement, iou in [list(levels.items())[n % 2]]]
    )
    assert worse.rows[0].is_plain
    assert claimed_row(worse) == worse.rows[1]
    assert claimed_row(replace(worse, rows=worse.rows[:1])) is None
