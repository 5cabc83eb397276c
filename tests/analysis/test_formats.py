from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from nas_attn.analysis import rank, ranking_csv, ranking_json
from nas_attn.models.placement import Placement

Make = Callable[..., Any]

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


@pytest.fixture(name="records")
def records_fixture(record: Make, numbered: Make, place: Make) -> list[Any]:
    gate = place(skip_1="gate(variant=oktay, start=identity)")
    return [
        record(0, numbered(0), 0, 0.5, reference="plain"),
        *(record(1 + n, numbered(0), 1 + n, iou) for n, iou in enumerate((0.6, 0.52, 0.57, 0.54))),
        *(
            record(5 + n, gate, n, iou, macs=1200, latency_ms=2.5)
            for n, iou in enumerate((0.55, 0.64, 0.56, 0.62, 0.58))
        ),
        record(10, numbered(2), 0, None),
    ]


def test_json_has_exactly_the_promised_keys_in_their_order(records: list[Any]) -> None:
    rows = json.loads(ranking_json(rank(records)))
    assert [list(row) for row in rows] == [KEYS, KEYS]


def test_json_gives_the_values_of_the_rows(records: list[Any], place: Make) -> None:
    gate = place(skip_1="gate(variant=oktay, start=identity)")
    first, plain = json.loads(ranking_json(rank(records)))
    assert first["placement_id"] == gate.id
    assert Placement.from_dict(first["placement"]) == gate
    assert first["iou_mean"] == pytest.approx(0.59)
    assert first["delta_iou_mean"] == pytest.approx(0.044)
    assert first["delta_ci_low"] < 0.044 < first["delta_ci_high"]
    assert first["iou_ci_low"] < 0.59 < first["iou_ci_high"]
    assert (first["n_seeds"], first["macs"], first["parameters"], first["latency_ms"]) == (5, 1200, 100, 2.5)
    assert (first["tested"], first["n_collapsed"], first["n_runs"]) == (True, 0, 5)
    assert first["iou_expected"] - plain["iou_expected"] == pytest.approx(first["gain"])
    assert (first["on_front"], first["is_reference"]) == (True, False)
    assert (plain["rank"], plain["is_reference"], plain["latency_ms"]) == (2, True, None)


def test_what_is_not_known_is_null(record: Make, numbered: Make) -> None:
    text = ranking_json(rank([record(0, numbered(1), 0, 0.5)]))
    row = json.loads(text)[0]
    unknown = [key for key, value in row.items() if value is None]
    assert unknown == [
        "iou_ci_low",
        "iou_ci_high",
        "gain",
        "delta_iou_mean",
        "delta_ci_low",
        "delta_ci_high",
        "latency_ms",
        "latency_ratio",
        "batch_latency_ratio",
        "front_probability",
    ]
    assert "NaN" not in text


def test_csv_has_the_same_columns_and_reads_back(records: list[Any]) -> None:
    ranking = rank(records)
    rows = list(csv.DictReader(io.StringIO(ranking_csv(ranking))))
    assert list(rows[0]) == KEYS
    assert rows[0]["placement"] == str(ranking.rows[0].placement)
    assert float(rows[0]["iou_mean"]) == ranking.rows[0].iou_mean
    assert (rows[1]["latency_ms"], rows[1]["is_reference"], rows[0]["on_front"]) == ("", "true", "true")


@pytest.mark.parametrize(("top", "n_rows"), [(1, 1), (2, 2), (99, 2), (None, 2)])
def test_top_cuts_both(records: list[Any], top: int | None, n_rows: int) -> None:
    ranking = rank(records)
    assert len(json.loads(ranking_json(ranking, top))) == n_rows
    assert len(ranking_csv(ranking, top).splitlines()) == n_rows + 1


def test_an_empty_ranking_is_an_empty_list_and_a_lone_header() -> None:
    assert json.loads(ranking_json(rank([]))) == []
    assert ranking_csv(rank([])) == ",".join(KEYS) + "\n"
