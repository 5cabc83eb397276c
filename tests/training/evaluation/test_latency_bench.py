"""Placements of a real network timed together."""

from __future__ import annotations

import json

import pytest

from nas_attn.latencies import LatencyTable
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.training import Precision
from nas_attn.training.evaluation import LatencyBench
from nas_attn.training.metrics import latency

NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=8)
CBAM = Placement.of({location: AttentionSpec("cbam") for location in NETWORK.locations})
GATES = NETWORK.plain.replace(Location.parse("skip.0"), AttentionSpec("gate"))


@pytest.fixture(scope="module", name="table")
def table_fixture() -> LatencyTable:
    return LatencyBench(NETWORK, 32, 48, batch=4, seconds=0.2)([CBAM, GATES])


def test_the_baseline_is_timed_in_any_case_and_takes_once_its_own_time(table: LatencyTable) -> None:
    assert set(table.single) == set(table.batched) == {NETWORK.plain.id, CBAM.id, GATES.id}
    plain = table.of(NETWORK.plain)
    assert plain is not None
    assert (plain.low, plain.ratio, plain.high) == (1, 1, 1)


def test_attention_everywhere_takes_longer_and_a_batch_longer_than_an_image(table: LatencyTable) -> None:
    """CBAM at seven places is some thirty operations more; four images are at least as many numbers."""
    cbam, one, four = table.of(CBAM), table.of(NETWORK.plain), table.batch_of(NETWORK.plain)
    assert cbam is not None
    assert one is not None
    assert four is not None
    assert cbam.ratio > 1.2
    assert cbam.low <= cbam.ratio <= cbam.high
    assert 0 < one.ms < four.ms


def test_it_says_what_was_timed_where(table: LatencyTable) -> None:
    assert (table.height, table.width, table.batch, table.input_name) == (32, 48, 4, "image")
    assert table.device.startswith("cpu: ")
    assert table.device.endswith(", 1 thread")
    assert table.rounds >= latency.LEAST_ROUNDS


def test_it_is_read_back_as_it_was_written(table: LatencyTable) -> None:
    assert LatencyTable.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def test_a_placement_that_was_not_timed_has_no_latency(table: LatencyTable) -> None:
    other = NETWORK.plain.replace(Location.parse("skip.1"), AttentionSpec("se"))
    assert other.plain == NETWORK.plain
    assert other[Location.parse("skip.0")] == NONE
    assert table.of(other) is None
    assert table.batch_of(other) is None


def test_clips_and_other_number_formats_are_timed_as_they_compute() -> None:
    network = UNetConfig(in_channels=1, classes=2, depth=2, base_channels=4, frames=2)
    bench = LatencyBench(network, 16, 16, 2, precision=Precision(bfloat16=True, channels_last=True), seconds=0)
    table = bench([network.plain.replace(Location.parse("bottleneck"), AttentionSpec("tam"))])
    assert len(table.single) == 2
    assert table.input_name == "clip of 2 frames"
