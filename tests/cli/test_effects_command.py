"""``nas-attn effects``: a table for people, JSON for programs."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from nas_attn.analysis import Interval
from nas_attn.analysis.effects import Effect, StudyEffects
from nas_attn.analysis.runs import LeftOut
from nas_attn.cli.main import main
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.reporting.terminal.effects_table import effects_table


def test_a_study_too_small_for_effects_says_so(tiny_study, capsys):
    assert main(["effects", "tiny"]) == 0
    assert "too few to estimate effects; at least 16 are needed." in capsys.readouterr().out
    assert main(["effects", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["effects"] == []


def test_an_unknown_study_is_refused_with_the_nearest_name(tiny_study, refused):
    (line,) = refused("effects", "tinny")
    assert "there is no study 'tinny'" in line
    assert "tiny" in line


@pytest.mark.parametrize("n_attentions", [2, 12])
def test_every_effect_stands_at_its_location_and_sure_ones_are_marked(n_attentions):
    effects = tuple(
        Effect(Location.parse(where), AttentionSpec(f"kind{index}"), 0.01 * sign, Interval(low, 0.02), 7)
        for where, sign, low in (("skip.0", 1, 0.005), ("decoder.1", 0, -0.02))
        for index in range(n_attentions)
    )
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(effects_table(StudyEffects(effects, (), (), 0.95, 9, 16, LeftOut(n_failed=1), 16)))
    text = console.export_text()
    assert text.count("+1.0* ±0.8") == n_attentions
    assert text.count("0.0 ±2.0") == n_attentions
    assert all(f"kind{index}" in text for index in range(n_attentions))
    assert "kind0 at skip.0: +1.0 (0.5 to 2.0), tried in 7 placements." in text
    assert "1 failed trial left out." in text


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_effect_is_cut_off_on_a_narrow_terminal(width):
    effects = tuple(
        Effect(Location.parse("decoder.1"), AttentionSpec(f"kind{index}"), 0.01, Interval(0.005, 0.12), 7)
        for index in range(9)
    )
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(effects_table(StudyEffects(effects, (), (), 0.95, 9, 16, LeftOut(), 16)))
    text = console.export_text()
    assert text.count("+1.0* ±5.8") == len(effects)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
