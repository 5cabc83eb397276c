"""Colours of charts and pages, against the contrast of WCAG 2.1 and models of colour blindness."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_attn.models.network import UNetConfig
from nas_attn.models.placement import AttentionSpec, Location
from nas_attn.reporting.page import draw_unet, unet_image
from nas_attn.reporting.page.chart import BLUE, GREEN, GREY, INK, PAPER, PURPLE, SHADE, VERMILLION
from nas_attn.reporting.page.drawing import COLOURS, colour_of_kind
from nas_attn.reporting.page.heat_maps import DIVERGING, GROWING

Colour = NDArray[np.float64]
MARKS = {"blue": BLUE, "green": GREEN, "vermillion": VERMILLION, "purple": PURPLE, "grey": GREY}
TOGETHER = (("blue", "green", "vermillion", "grey"), ("blue", "vermillion", "green", "purple"))
"""Marks that stand in one chart: IoU against cost, whiskers, curves; and the rungs."""
PAPERS = {"light": PAPER, "dark report": "#14181d", "dark dashboard": "#1e1e1e"}

# Machado, Oliveira, Fernandes 2009, table of severity 1; they apply to linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
)
WHITE = XYZ.sum(axis=1)


def rgb(text: str) -> Colour:
    """Red, green and blue of ``#rrggbb``, each from 0 to 1."""
    return np.array([int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)])


def linear(colour: Colour) -> Colour:
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def contrast(one: Colour, two: Colour) -> float:
    """WCAG 2.1: of relative luminances, each raised by 0.05."""
    low, high = sorted(float(XYZ[1] @ linear(colour)) + 0.05 for colour in (one, two))
    return high / low


def lab(light: Colour) -> Colour:
    """CIE 1976 L*a*b* of linear RGB."""
    share = XYZ @ np.clip(light, 0, 1) / WHITE
    x, y, z = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def shaded(paper: Colour) -> Colour:
    *channels, alpha = (float(part) for part in SHADE.removeprefix("rgba(").rstrip(")").split(","))
    return alpha * np.array(channels) / 255 + (1 - alpha) * paper


def ramp(scale: Sequence[tuple[float, str]]) -> list[Colour]:
    """Fifty colours between each stop of a scale and the next, as Plotly mixes them."""
    return [
        (1 - share) * rgb(low) + share * rgb(high)
        for (_, low), (_, high) in pairwise(scale)
        for share in np.linspace(0, 1, 50)
    ]


def variables(block: str) -> dict[str, str]:
    """The colours that a block of the page's style sheet sets."""
    sheet = files("nas_attn.reporting.page").joinpath("page.css").read_text(encoding="utf-8")
    body = sheet.partition(f"{block} {{")[2].partition("}")[0]
    return dict(re.findall(r"--([\w-]+): (#\w{6})", body))


def test_the_oracle_knows_black_on_white_and_the_least_grey_that_may_be_text() -> None:
    assert contrast(rgb("#000000"), rgb("#ffffff")) == pytest.approx(21)
    assert contrast(rgb("#767676"), rgb("#ffffff")) == pytest.approx(4.54, abs=0.005)
    assert contrast(rgb("#777777"), rgb("#ffffff")) == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_can_be_seen_in_light_and_dark(mark: str, paper: str) -> None:
    assert contrast(rgb(MARKS[mark]), rgb(PAPERS[paper])) >= 3


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("curve", ["blue", "vermillion", "green"])
def test_a_curve_can_be_seen_on_the_band(curve: str, paper: str) -> None:
    assert contrast(rgb(MARKS[curve]), shaded(rgb(PAPERS[paper]))) >= 3


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_marks_of_one_chart_differ_for_every_eye(blindness: str) -> None:
    seen = {name: lab(BLINDNESS[blindness] @ linear(rgb(colour))) for name, colour in MARKS.items()}
    for names in TOGETHER:
        for one, two in combinations(names, 2):
            assert np.linalg.norm(seen[one] - seen[two]) > 14, (one, two)


@pytest.mark.parametrize("scale", [DIVERGING, GROWING], ids=["diverging", "growing"])
def test_the_text_of_every_cell_can_be_read(scale: Sequence[tuple[float, str]]) -> None:
    assert min(contrast(rgb(INK), cell) for cell in ramp(scale)) >= 4.5


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_gain_and_loss_differ_for_every_eye(blindness: str) -> None:
    loss, nothing, gain = (lab(BLINDNESS[blindness] @ linear(rgb(colour))) for _, colour in DIVERGING)
    assert min(np.linalg.norm(gain - loss), np.linalg.norm(gain - nothing), np.linalg.norm(loss - nothing)) > 25


@pytest.mark.parametrize("blindness", BLINDNESS)
def test_more_cost_is_darker_for_every_eye(blindness: str) -> None:
    light = [lab(BLINDNESS[blindness] @ linear(cell))[0] for cell in ramp(GROWING)]
    assert all(later < earlier for earlier, later in pairwise(light))


@pytest.mark.parametrize("block", [":root", ':root[data-theme="dark"]'], ids=["light", "dark"])
def test_the_text_of_the_page_can_be_read(block: str) -> None:
    colours = {name: rgb(colour) for name, colour in variables(block).items()}
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "accent"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["ink"], colours["block"]) >= 4.5
    assert contrast(colours["line"], colours["paper"]) >= 3


@pytest.mark.parametrize("colour", COLOURS)
def test_the_name_of_every_module_can_be_read_on_its_colour(colour: str) -> None:
    assert contrast(rgb("#08131c"), rgb(colour)) >= 4.5


def test_the_usual_kinds_have_colours_of_their_own_and_keep_them() -> None:
    """Those of the spaces that most begin with, for images and for clips."""
    usual = ["se", "eca", "cbam", "scse", "ca", "gate", "pam", "bam", "tam", "gltr"]
    assert len({colour_of_kind(kind) for kind in usual}) == len(usual)
    assert colour_of_kind("simam") == colour_of_kind("simam") in COLOURS


def test_modules_are_drawn_in_the_colours_of_their_kinds() -> None:
    network = UNetConfig(1, 2, depth=2)
    drawn = draw_unet(network, network.plain.replace(Location.parse("skip.0"), AttentionSpec("se")))
    assert drawn.count(f'fill="{colour_of_kind("se")}"') == 1
    assert colour_of_kind("gate") not in drawn


def test_the_system_and_the_button_give_the_same_dark() -> None:
    assert variables(':root[data-theme="dark"]') == variables(':root:not([data-theme="light"])')


def test_the_image_of_a_placement_has_the_pages_dark() -> None:
    network = UNetConfig(1, 2, depth=2)
    attended = network.plain.replace(Location.parse("skip.0"), AttentionSpec("se"))
    style = unet_image(network, attended).partition("<style>")[2].partition("</style>")[0]
    assert style.startswith("@media (prefers-color-scheme: dark)")
    given = dict(re.findall(r"--([\w-]+):(#\w{6})", style))
    dark = variables(':root[data-theme="dark"]')
    assert given == {"ground": dark["paper"]} | {name: dark[name] for name in given if name != "ground"}
    drawn = draw_unet(network, attended)
    assert set(given) == set(re.findall(r"var\(--([\w-]+),", drawn))
    assert "<style>" not in drawn, "in a page it would set the colours of all"
