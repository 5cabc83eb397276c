"""What a plan says of the budgets of its trials."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from nas_attn.budget import Budget, rungs
from nas_attn.cli._plan import _budget, _without
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.catalogue import catalogue
from nas_attn.models.discovery import look_at
from nas_attn.space import read_space


@pytest.mark.parametrize(
    ("ladder", "steps", "expected"),
    [
        ((), 180, "180 steps of 8 crops of 32 px"),
        ((60,), 180, "60 from the trained baseline and 180 steps of 8 crops of 32 px"),
        (
            "auto",
            180,
            "180 steps of 8 crops of 32 px; 20, 60 from the trained baseline, once they are validated",
        ),
        ("auto", 2, "2 steps of 8 crops of 32 px"),
    ],
)
def test_a_plan_names_the_rungs_that_there_are(ladder: Any, steps: int, expected: str) -> None:
    settings: Any = SimpleNamespace(
        ladder_start="plain",
        find_budget=False,
        on_proof=ladder == "auto",
        space=SimpleNamespace(network=SimpleNamespace(frames=1)),
        budget=Budget(steps, 32, 8),
        ladder_below=lambda top: rungs(ladder, top, pretrained=True),
    )
    assert _budget(settings) == expected


def test_a_plan_names_what_somebody_elses_network_has_no_part_for(small_unet: type[nn.Module]) -> None:
    theirs = look_at(AskedNetwork.parse("small_unet:SmallUNet"), 3, 2).network

    def without(*parts: str) -> str:
        """What the plan says of a network whose convolution and block are at these locations alone."""
        found = tuple(
            site if str(site.location) in parts else replace(site, convolution="", block="", block_channels=0)
            for site in theirs.found
        )
        network = replace(theirs, found=found)
        return _without(read_space("unet_attention_full", catalogue(), network=network, image_size=64))

    names = "condconv, dcn, dynamic, highway, ran, scconv, sk, stn"
    why = "this network has no suitable convolution or block there"
    assert without() == f"; without {names}: {why}"
    assert without("encoder.1") == f"; without {names} at some locations: {why}"
    assert without(*(str(site.location) for site in theirs.found if site.block)) == ""
    assert _without(read_space("unet_attention_full", catalogue(), image_size=64)) == ""
