"""The additive model of latency: against times that are known, and against a real network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import pytest

from nas_attn.latencies import LatencyModel
from nas_attn.models.catalogue import catalogue
from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import NONE, AttentionSpec, Location, Placement
from nas_attn.training.evaluation import LatencyBench, latency, measure_latency_model

NETWORK = UNetConfig(in_channels=3, classes=3, depth=2, base_channels=8)
SE, CBAM, DCN = map(AttentionSpec, ("se", "cbam", "dcn"))
CHOICES = [(location, (NONE, SE, CBAM)) for location in NETWORK.locations]
BENCH = LatencyBench(NETWORK, 32, 32, 1, seconds=0.3)
OWN = {"se": 0.5, "cbam": 2.0}


def by_itself(placement: Placement) -> float:
    """Milliseconds of the modules of a placement by themselves: as many as they have pixels there, and by kind."""
    pixels = {site.location: site.positions for site in NETWORK.sites(32, 32)}
    return sum(OWN[spec.kind] * pixels[location] / 1024 for location, spec in placement.attended)


def test_networks_say_how_much_modules_add_and_modules_how_it_is_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within networks of one kind modules take twice as long as by themselves, within mixtures three times."""

    def timed(steps: Mapping[str, object], baseline: str, *_: object, seconds: float) -> dict[str, list[float]]:
        found = {}
        for name in steps:
            kind, _, site = name.partition(" ")
            if name == baseline:
                ms = 10.0
            elif kind in OWN:
                (pixels,) = {one.positions for one in NETWORK.sites(32, 32) if f"height={one.height}," in site}
                ms = OWN[kind] * pixels / 1024
            else:
                kinds = {spec for _, spec in networks[name].attended}
                ms = 10.0 + (2 if len(kinds) == 1 else 3) * by_itself(networks[name])
            found[name] = [ms, ms]
        return found

    networks: dict[str, Placement] = {}
    fresh = latency.fresh_network

    def noted(network: UNetConfig, placement: Placement, seed: int) -> object:
        networks[placement.id] = placement
        return fresh(network, placement, seed)

    monkeypatch.setattr(latency, "interleaved_times", timed)
    monkeypatch.setattr(latency, "fresh_network", noted)
    model = measure_latency_model(BENCH, CHOICES)

    assert len(networks) == 1 + 2 + 2, "the baseline, each kind everywhere, and two mixtures"
    for placement in (*networks.values(), NETWORK.plain.replace(Location.parse("skip.1"), CBAM)):
        assert model(placement) == pytest.approx(10 + 3 * by_itself(placement))


@pytest.fixture(scope="module", name="model")
def model_fixture() -> LatencyModel:
    return measure_latency_model(BENCH, CHOICES)


def test_it_foretells_about_what_a_network_takes(model: LatencyModel) -> None:
    """A third at most, on a machine that does other things meanwhile: benchmarks/latency.py tells how exact."""
    kinds = (NONE, SE, CBAM)
    mixed = Placement.of({location: kinds[number % 3] for number, location in enumerate(NETWORK.locations)})
    table = BENCH([mixed])
    measured = table.of(mixed)
    assert measured is not None
    assert model(mixed) / model.plain_ms == pytest.approx(measured.ratio, rel=0.35)


def test_the_baseline_takes_its_own_time_and_attention_adds_to_it(model: LatencyModel) -> None:
    assert model(NETWORK.plain) == model.plain_ms > 0
    everywhere = Placement.of(dict.fromkeys(NETWORK.locations, CBAM))
    assert model(everywhere) > 1.2 * model.plain_ms
    assert model.device.endswith(", 1 thread")


def test_it_is_read_back_as_it_was_written(model: LatencyModel) -> None:
    again = LatencyModel.from_dict(json.loads(json.dumps(model.to_dict())))
    assert again.to_dict() == model.to_dict()
    assert again.added_ms == model.added_ms


@pytest.mark.parametrize("kind", ["ran", "dcn", "sk", "gate", "pam", "encnet"])
def test_what_stands_around_something_or_takes_more_than_one_input_can_be_measured(kind: str) -> None:
    stages = catalogue()[kind].stages
    places = [(place, (AttentionSpec(kind),)) for place in NETWORK.locations if place.stage in stages]
    model = measure_latency_model(replace(BENCH, seconds=0), places)

    assert len(model.added_ms) == len(places) > 0
