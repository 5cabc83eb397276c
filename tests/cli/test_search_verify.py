"""``nas-attn search --verify``: in the end, answer and best architecture are those of the verification."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import yaml

from nas_attn.cli.main import main
from nas_attn.record import Cost, Outcome, Score
from tests.searching import evaluate_by, search_here

STEPS = 4
SEARCH = (
    "search --space unet_attention_small --study world --trials 24 --no-stop --worth 1 "
    f"--base-channels 4 --image-size 16 --batch-size 2 --steps {STEPS} --device cpu"
)
FIRST_FRESH_SEED = 1_000_000


@pytest.fixture
def search(tmp_path, monkeypatch, capsys):
    """A search in which any attention gains so many points, and so many on the test data; what it prints."""
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)

    def searched(*more, gain, gain_on_test, gain_of_twice_the_steps=0, status=0):
        def judge(placement, budget, seed):
            points = gain_on_test if seed >= FIRST_FRESH_SEED else gain
            points = points * bool(placement.attended) + gain_of_twice_the_steps * (budget.steps > STEPS)
            iou = 0.8 + 0.01 * points + 0.002 * random.Random(f"{placement.id} {seed}").gauss(0, 1)
            return Outcome(Score(iou, (iou, iou, iou), 0.5), Cost(1000, 1000 + len(placement.attended)), (), 0.01)

        evaluate_by(monkeypatch, judge)
        assert main([*SEARCH.split(), *more]) == status
        return "".join(capsys.readouterr())

    return searched


def best_kinds():
    placement = yaml.safe_load(Path("studies/world/best.yaml").read_text(encoding="utf-8"))["placement"]
    return {choice["kind"] for choice in placement.values()}


def test_what_only_the_test_data_show_becomes_the_best(search):
    printed = search("--verify", gain=0, gain_on_test=5)
    found, verified = printed.split("5 fresh seeds of each")

    assert "Better." not in found
    assert "Best architecture" not in found, "it may be another in a minute"
    assert "Best architecture: studies/world/best.yaml, now " in verified
    assert "\nBetter. Confirmed: " in verified
    assert verified.rindex("\nBest architecture: studies/world/best.yaml\n") < verified.index("\nNext:")
    assert "which is the baseline" not in verified
    assert best_kinds() != {"none"}


def test_what_the_test_data_refute_is_the_best_no_more(search, capsys):
    search(gain=5, gain_on_test=-5)
    assert best_kinds() != {"none"}
    printed = search("--verify", gain=5, gain_on_test=-5)

    assert "\nRefuted: " in printed
    assert "Best architecture: studies/world/best.yaml, now baseline (plain U-Net)" in printed
    assert (
        "Best architecture: studies/world/best.yaml, which is the baseline: no placement is significantly better."
        in printed
    )
    assert best_kinds() == {"none"}
    assert main(["verify", "world"]) == 0
    assert "Best architecture" not in capsys.readouterr().out, "it has not changed"


def test_once_verified_nobody_is_told_to_verify(search):
    command = "\n  nas-attn verify world\n"
    assert command in search(gain=5, gain_on_test=5)
    assert command not in search("--verify", gain=5, gain_on_test=5)


def test_what_claims_nothing_is_not_verified(search):
    printed = search("--verify", gain=0, gain_on_test=5, gain_of_twice_the_steps=9)

    assert "Not verified: with runs that are too short, a study claims nothing" in printed
    assert "fresh seeds of each" not in printed
    assert "\n  nas-attn verify world\n" in printed, "whoever wants it all the same"
    assert best_kinds() == {"none"}


def test_where_verification_cannot_be_the_search_has_found_its_best_all_the_same(search, monkeypatch):
    from nas_attn.errors import DataError
    from nas_attn.study import verify

    def refuse(resolved):
        raise DataError("no test mask holds a cell")

    monkeypatch.setattr(verify, "_check_test_data", refuse)
    printed = search("--verify", gain=5, gain_on_test=5, status=2)

    assert "nas-attn: error: no test mask holds a cell" in printed
    assert "\nBest architecture: studies/world/best.yaml\n" in printed
    assert "\n  nas-attn verify world\n" in printed


def test_a_best_architecture_that_was_changed_by_hand_stays(search, tmp_path):
    search(gain=5, gain_on_test=-5)
    best = tmp_path / "studies/world/best.yaml"
    document = yaml.safe_load(best.read_text())
    document["placement"]["decoder.0"] = {"kind": "simam"}
    best.write_text(yaml.safe_dump(document))
    before = best.read_bytes()
    assert main(["verify", "world", "--seeds", "4", "--workers", "1"]) == 0

    assert best.read_bytes() == before
