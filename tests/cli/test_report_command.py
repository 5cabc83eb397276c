"""``nas-attn report``: one page, from a study's name."""

from __future__ import annotations

import re

import pytest

from nas_attn.cli.main import main


@pytest.fixture
def page(tiny_study, capsys):
    """Write a page without panels, unless they are asked for; gives its text."""

    def write(*arguments, panels=False):
        assert main(["report", "tiny", "-o", "page.html", *arguments, *([] if panels else ["--no-panels"])]) == 0
        printed = capsys.readouterr().out
        assert "page.html: report of 'tiny', " in printed
        assert panels or len(printed.splitlines()) == 1
        return (tiny_study.folder / "page.html").read_text(encoding="utf-8")

    return write


def pictures(text):
    return re.findall(r'<img alt="([^"]*)" src="data:image/png;base64,([^"]+)"', text)


def test_the_panels_show_the_very_networks_of_the_study(page):
    text = page(panels=True)
    assert "to the last digit, so these are the ranked networks." in text
    names = [words.partition(":")[0] for words, _ in pictures(text)]
    assert names[:3] == ["image", "truth", "baseline"]
    assert names.count("truth") == 3


def test_panels_are_made_once(page, monkeypatch):
    from nas_attn.training.evaluation import TrainingEvaluator

    first = page(panels=True)
    monkeypatch.setattr(TrainingEvaluator, "trained", None)
    assert page(panels=True) == first
    assert not pictures(page())


def test_without_the_studys_file_the_page_says_why_it_has_no_panels(page, tiny_study):
    (tiny_study.folder / "studies" / "tiny" / "study.yaml").unlink()
    text = page(panels=True)
    assert not pictures(text)
    assert "No prediction panels: studies/tiny/study.yaml: there is no such file" in text


def test_without_the_data_the_page_says_why_it_has_no_panels(page, tiny_study):
    path = tiny_study.folder / "studies" / "tiny" / "study.yaml"
    path.write_text(path.read_text().replace("data: synthetic", "data: gone"))
    text = page(panels=True)
    assert not pictures(text)
    assert "No prediction panels: --data gone: there is no such folder" in text


def test_other_data_than_the_studys_are_not_shown(page, tiny_study, monkeypatch):
    from dataclasses import replace

    from nas_attn.study.setup import preset

    monkeypatch.setattr(preset, "CPU_SYNTHETIC", replace(preset.CPU_SYNTHETIC, n_val=5))
    text = page(panels=True)
    assert not pictures(text)
    assert "data fingerprint was" in text


def test_the_page_says_what_the_table_says(page, capsys):
    text = page()
    assert main(["rank", "tiny"]) == 0
    printed = capsys.readouterr().out
    verdict = printed.splitlines()[0]
    assert f'<p class="verdict">{verdict[:60]}' in text
    parts = re.findall(r'<h2 id="(\w+)"', text)
    assert [part for part in parts if part != "holds"][:3] == ["winner", "differences", "front"]
    baseline_leads = re.search(r"^ *1 .* baseline ", printed, re.MULTILINE) is not None
    assert ("holds" in parts) is not baseline_leads, "which of them leads so short a study hangs on the machine"


def test_the_page_holds_the_settings_the_data_and_how_to_repeat_it(page):
    text = page()
    for expected in (
        "unet_attention_small: 10 locations, 432 placements",
        "10: 10 complete; ",
        "strategy</th><td>random",
        "data set</th><td>synthetic",
        *(f"class {index}, {name}</th><td>" for index, name in enumerate(("background", "warm", "cold"))),
        "nas-attn search --config studies/tiny/study.yaml --study tiny-again",
    ):
        assert expected in text


def test_what_each_place_costs_is_counted_for_the_studys_space(page):
    text = page()
    assert 'id="plot-costs"' in text
    for place in ("bottleneck", "skip.2", "decoder.0"):
        assert f'<td class="figures">{place}</td>' in text


def test_another_cost_makes_another_front(page):
    assert "ms for one image" in page("--cost", "latency")


def test_a_study_in_another_place_is_reported_without_its_file(page):
    text = page("--storage", "sqlite:///studies/tiny/study.db")
    assert "nas-attn search --config studies/tiny/study.yaml" in text


def test_a_page_is_written_anew(page):
    assert page() == page()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tinny", "-o", "page.html"], "there is no study 'tinny' in studies/; did you mean 'tiny'?"),
        (["tiny"], "the following arguments are required: -o/--output"),
        (["tiny", "-o", "gone/page.html"], "gone/page.html: there is no folder gone"),
        (["tiny", "-o", "studies"], "studies: is a folder; write such as studies/report.html"),
        (["tiny", "-o", "page.html", "--cost", "mac"], "unknown cost 'mac'; did you mean 'macs'?"),
        (["tiny", "-o", "page.html", "--ouput", "x"], "unknown option '--ouput'; did you mean '--output'?"),
    ],
)
def test_a_mistake_is_one_clear_line(tiny_study, refused, words, message):
    (line,) = refused("report", *words)

    assert message in line


def test_a_page_for_which_there_is_no_room_leaves_the_one_before(page, tiny_study, refused, room_for):
    before = page()
    room_for(100_000)
    (line,) = refused("report", "tiny", "-o", "page.html", "--no-panels")
    room_for(None)

    assert line == "page.html: cannot be written: File too large"
    assert (tiny_study.folder / "page.html").read_text(encoding="utf-8") == before
    assert sorted(path.name for path in tiny_study.folder.iterdir()) == ["page.html", "studies"]


def test_a_page_is_written_into_no_pipe(tiny_study, refused):
    import os

    os.mkfifo("page.html")
    (line,) = refused("report", "tiny", "-o", "page.html", "--no-panels")
    assert line == "page.html: is not a regular file; name a file such as report.html"
