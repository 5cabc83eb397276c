"""The page in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nas_attn.reporting.page import StudyFacts, report_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(facts_of: Callable[..., StudyFacts], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    curve = {"plain_curve": ((50, 0.5), (100, 0.6)), "plain_curve_text": "It has converged."}
    path.write_text(report_page(facts_of(30, **curve)), encoding="utf-8")
    return path


@contextmanager
def opened(chromium: Any, file: Path, **options: Any) -> Iterator[Any]:
    """The page, once its figures are drawn; at the end, no error and no request may have been made."""
    said: list[str] = []
    page = chromium.new_page(**options)
    page.set_default_timeout(120_000)
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith("file:") else said.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    yield page
    page.close()
    assert [text for text in said if not text.startswith(("data:", "blob:"))] == []


def brightness(page: Any, selector: str, what: str) -> float:
    """Mean of red, green and blue of a computed colour."""
    colour = page.eval_on_selector(selector, f"element => getComputedStyle(element).{what}")
    return sum(float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3]) / 3


def test_every_figure_is_drawn(chromium: Any, file: Path) -> None:
    with opened(chromium, file) as page:
        assert page.locator(".plot").count() == 4
        assert page.locator(".plot .main-svg").count() >= 4
        assert page.locator("#plot-front path.point").count() == 30


def test_pointing_tells_and_clicking_draws_the_placement(chromium: Any, file: Path) -> None:
    with opened(chromium, file) as page:
        mark = page.locator("#plot-front .scatterlayer path.point").last
        mark.scroll_into_view_if_needed()
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#plot-front .hoverlayer .hovertext")
        assert "baseline" in page.locator("#plot-front .hoverlayer").text_content()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#drawn svg")
        assert "baseline" in page.locator("#drawn svg title").first.text_content()


def test_the_keyboard_draws_a_placement_too(chromium: Any, file: Path) -> None:
    with opened(chromium, file) as page:
        button = page.locator("button[data-placement]").nth(2)
        button.focus()
        page.keyboard.press("Enter")
        assert page.locator("#drawn svg").count() == 1
        assert page.evaluate("document.activeElement.id") == "drawn"
        assert page.locator("#drawn svg title").first.text_content() in page.locator("#drawn").inner_text()


def test_light_and_dark_follow_the_system_and_the_button(chromium: Any, file: Path) -> None:
    with opened(chromium, file, color_scheme="dark") as page:
        axis = "#plot-front .xtick text"
        assert brightness(page, "body", "backgroundColor") < 60
        assert brightness(page, axis, "fill") > 180
        page.click("#theme")
        assert brightness(page, "body", "backgroundColor") > 240
        page.wait_for_function(f"getComputedStyle(document.querySelector('{axis}')).fill == 'rgb(31, 41, 51)'")


def test_no_tool_of_a_chart_sends_it_away(chromium: Any, file: Path) -> None:
    with opened(chromium, file) as page:
        tools = page.eval_on_selector_all("#plot-front .modebar-btn", "all => all.map(one => one.ariaLabel)")
        assert "Download plot as a PNG" in tools
        assert not [tool for tool in tools if "hare" in tool or "loud" in tool]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tools_of_a_chart_have_the_colours_of_the_page(chromium: Any, file: Path, scheme: str) -> None:
    with opened(chromium, file, color_scheme=scheme) as page:
        page.hover("#plot-front .nsewdrag")
        ground = brightness(page, "#plot-front .modebar-group", "backgroundColor")
        tool = brightness(page, "#plot-front .modebar-btn .icon path", "fill")
        assert (ground > 240, tool < 110) == (True, True) if scheme == "light" else (ground < 60, tool > 150)


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_is_wider_than_the_screen(chromium: Any, file: Path, width: int) -> None:
    with opened(chromium, file, viewport={"width": width, "height": 800}) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_prints_dark_on_white_and_goes_back_to_what_it_was(chromium: Any, file: Path) -> None:
    with opened(chromium, file, color_scheme="dark") as page:
        axis = "#plot-front .xtick text"
        ink = f"getComputedStyle(document.querySelector('{axis}')).fill"
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.wait_for_function(f"{ink} == 'rgb(31, 41, 51)'")
        assert page.evaluate("document.querySelector('#plot-front .main-svg').clientWidth") == 680
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        page.wait_for_function(f"{ink} == 'rgb(232, 236, 240)'")
        assert page.pdf(format="A4").startswith(b"%PDF")
