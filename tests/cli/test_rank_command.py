"""``nas-attn rank``: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys

import pytest

from nas_attn.cli.main import main

KEYS = [
    "rank",
    "placement_id",
    "placement",
    "iou_mean",
    "iou_ci_low",
    "iou_ci_high",
    "iou_expected",
    "gain",
    "delta_iou_mean",
    "delta_ci_low",
    "delta_ci_high",
    "tested",
    "better_than_baseline",
    "n_seeds",
    "n_collapsed",
    "n_runs",
    "macs",
    "parameters",
    "latency_ms",
    "latency_ratio",
    "batch_latency_ratio",
    "on_front",
    "is_reference",
    "front_probability",
]


@pytest.fixture
def printed(tiny_study, capsys):
    def run(*arguments):
        assert main(["rank", "tiny", *arguments]) == 0
        return capsys.readouterr().out

    return run


def test_a_finished_study_is_ranked_by_another_metric(printed):
    """Every run keeps all metrics; Dice is 2 IoU over 1 + IoU, so mean Dice is above mean IoU."""
    by_iou = {row["placement_id"]: row for row in json.loads(printed("--json"))}
    by_dice = {row["placement_id"]: row for row in json.loads(printed("--json", "--metric", "mean-dice"))}
    assert by_iou.keys() == by_dice.keys()
    assert all(row["iou_mean"] > by_iou[name]["iou_mean"] for name, row in by_dice.items())
    text = printed("--metric", "mean-dice")
    assert "Dice x100" in text
    assert "mean Dice: Dice of a class" in text
    assert printed("--json", "--metric", "mean-iou") == printed("--json")


def test_an_unknown_metric_is_told_the_known_ones(tiny_study, capsys):
    assert main(["rank", "tiny", "--metric", "mean-dise"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--metric: 'mean-dise' must be mean-iou | foreground-iou | mean-dice" in line


def test_json_has_exactly_the_promised_keys(printed):
    rows = json.loads(printed("--json"))

    assert all(list(row) == [*KEYS, "iou_per_class"] for row in rows)
    assert all(set(row["iou_per_class"]) == {"background", "warm", "cold"} for row in rows)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert len({row["placement_id"] for row in rows}) == len(rows) >= 6
    plain = next(row for row in rows if set(row["placement"].values()) == {"none"})
    assert plain["is_reference"] is True
    assert plain["n_seeds"] >= 1
    assert plain["delta_iou_mean"] == 0
    assert set(plain["placement"]) == {
        *(f"encoder.{level}" for level in range(3)),
        "bottleneck",
        *(f"skip.{level}" for level in range(3)),
        *(f"decoder.{level}" for level in range(3)),
    }
    for row in rows:
        assert 0 <= row["iou_mean"] <= 1
        assert (row["iou_ci_low"] is None) == (row["iou_ci_high"] is None)
        assert row["iou_ci_low"] is None or row["iou_ci_low"] <= row["iou_mean"] <= row["iou_ci_high"]
        assert row["macs"] >= plain["macs"]
        assert row["latency_ms"] > 0
    assert any(row["on_front"] for row in rows)


def test_some_placement_and_the_plain_unet_have_a_seed_that_did_not_choose_them(printed):
    """One finalist and two seeds: that is seen, but tells the noise by too few degrees of freedom."""
    table = printed("--top", "100")

    assert "gain: expected IoU x100 over the baseline" in table
    assert re.search(r"[+-]?\d\.\d \(not known\)", table)
    assert "±" not in table
    assert re.search(r"estimated with [12] degrees? of freedom: with fewer than 3, intervals are not known", table)


def test_csv_says_the_same_as_json(printed):
    objects = json.loads(printed("--json"))
    rows = list(csv.DictReader(io.StringIO(printed("--csv"))))

    assert list(rows[0]) == KEYS
    assert [row["placement_id"] for row in rows] == [row["placement_id"] for row in objects]
    assert [float(row["iou_mean"]) for row in rows] == [row["iou_mean"] for row in objects]
    assert {row["is_reference"] for row in rows} <= {"true", "false"}


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_top_cuts_every_form(printed, form):
    text = printed(form, "--top", "2")

    assert len(json.loads(text) if form == "--json" else list(csv.DictReader(io.StringIO(text)))) == 2


def test_the_table_shows_the_plain_unet_even_below_the_top(printed):
    table = printed("--top", "1")

    assert "baseline" in table
    assert "placements shown" in table


@pytest.mark.parametrize("cost", ["parameters", "latency", "memory"])
def test_another_cost_makes_another_front(printed, cost):
    assert {"parameters": "parameters", "latency": "milliseconds", "memory": "MiB"}[cost] in printed(
        "--cost", cost
    )


def test_a_study_is_also_named_by_its_folder(printed, capsys):
    by_name = printed("--json")

    assert main(["rank", "studies/tiny", "--json"]) == 0
    assert capsys.readouterr().out == by_name
    assert main(["rank", "tiny", "--storage", "sqlite:///studies/tiny/study.db", "--json"]) == 0
    assert capsys.readouterr().out == by_name


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rank", "tinny"], "there is no study 'tinny' in studies/; did you mean 'tiny'?"),
        (["rank", "tiny", "--top", "0"], "--top: 0 must be a whole number of at least 1"),
        (["rank", "tiny", "--top", "many"], "--top: 'many' must be a whole number"),
        (["rank", "tiny", "--cost", "mac"], "unknown cost 'mac'; did you mean 'macs'?"),
        (["rank", "tiny", "--jsn"], "unknown option '--jsn'; did you mean '--json'?"),
        (["rank", "tiny", "--json", "--csv"], "--csv: not allowed with argument --json"),
        (["rank", "tiny", "--storage", "sqlite:///gone.db"], "gone.db: there is no such study file"),
        (["rank"], "the following arguments are required: STUDY"),
    ],
)
def test_a_mistake_is_one_clear_line(tiny_study, refused, words, message):
    (line,) = refused(*words)

    assert message in line


@pytest.mark.parametrize("words", [["rank", "tiny"], ["rank", "tiny", "--csv"], ["studies"]], ids=" ".join)
def test_what_reads_a_study_only_imports_no_torch(tiny_study: object, words: list[str]) -> None:
    code = (
        "import sys\n"
        "from nas_attn.cli.main import main\n"
        f"assert main({words!r}) == 0\n"
        "print('torch' in sys.modules, file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == "False", ended.stderr
