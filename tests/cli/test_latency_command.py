"""``nas-attn latency``, and where its figures stand afterwards."""

from __future__ import annotations

import json

import pytest

from nas_attn.cli.main import main
from nas_attn.study import latencies


@pytest.fixture
def printed(tiny_study, monkeypatch, capsys):
    monkeypatch.setattr(latencies, "SECONDS", 0.0)

    def run(*arguments):
        assert main(arguments) == 0
        return capsys.readouterr().out

    return run


def test_a_search_has_timed_its_leading_placements(printed):
    rows = json.loads(printed("rank", "tiny", "--json"))
    plain = next(row for row in rows if set(row["placement"].values()) == {"none"})

    assert plain["latency_ratio"] == plain["batch_latency_ratio"] == 1
    assert all(row["latency_ratio"] > 0 for row in rows if row["on_front"] or row["tested"])
    assert any(row["latency_ratio"] > 1.05 for row in rows), "attention takes time"


def test_other_sizes_are_timed_and_told_from_then_on(printed):
    found = json.loads(printed("latency", "tiny", "--size", "32x48", "--batch", "3", "--device", "cpu", "--json"))

    assert (found["height"], found["width"], found["batch"]) == (32, 48, 3)
    assert found["placements"].keys() == found["single"].keys() == found["batched"].keys()
    rows = {row["placement_id"]: row for row in json.loads(printed("rank", "tiny", "--json"))}
    for name, one in found["single"].items():
        assert rows[name]["latency_ms"] == pytest.approx(one["ms"])
        assert rows[name]["latency_ratio"] == one["ratio"]
        assert rows[name]["batch_latency_ratio"] == found["batched"][name]["ratio"]


def test_the_table_has_costs_side_by_side(printed):
    table = printed("latency", "tiny", "--device", "cpu")
    for part in ("ms of 2", "ratio", "MACs", "params", "1.00x (1.00-1.00)", "timed in turns"):
        assert part in table


def test_the_ranking_says_how_latencies_were_timed(printed):
    assert "Latency: one image of 16x16 on cpu" in " ".join(printed("rank", "tiny").split())


def test_all_that_is_wrong_is_told_at_once(tiny_study, refused):
    assert refused("latency", "tiny", "--size", "big", "--batch", "0", "--device", "gpu") == [
        "--device: unknown device 'gpu'; it must be auto | cpu | cuda | cuda:N, or several: cuda:0,cuda:2",
        "--batch: 0 must be a whole number of at least 1",
        "--size: 'big' is not a size; write such as 512, or 512x384",
    ]


def test_an_image_too_small_for_the_network_is_told(tiny_study, refused):
    (line,) = refused("latency", "tiny", "--size", "4", "--device", "cpu")
    assert line == "--size 4: a U-Net of depth 3 takes at least 8 pixels a side"
