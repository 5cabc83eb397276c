"""``nas-attn verdict``: sentences for people, one object for programs."""

from __future__ import annotations

import json

import pytest

from nas_attn.cli.main import main


@pytest.mark.usefixtures("tiny_study")
def test_it_is_told_in_the_words_of_the_ranking_and_as_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verdict", "tiny"]) == 0
    text = capsys.readouterr().out
    assert main(["verdict", "tiny", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["study"] == "tiny"
    assert text.splitlines() == told["sentences"]
    assert main(["rank", "tiny"]) == 0
    ranked = " ".join(capsys.readouterr().out.split())
    assert told["sentences"][0].removeprefix("Undecided. ") in ranked


@pytest.mark.usefixtures("tiny_study")
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--worth", "-1"], "--worth: -1 must be a number above 0 and at most 100"),
        (["--worth", "much"], "--worth: 'much' must be a number above 0 and at most 100"),
        (["--metric", "mean-dise"], "--metric: 'mean-dise' must be mean-iou | foreground-iou"),
        (["--wroth", "1"], "unknown option '--wroth'; did you mean '--worth'?"),
    ],
)
def test_mistakes_get_a_line_each(words: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["verdict", "tiny", *words])
    except SystemExit as ended:
        status = int(ended.code or 0)
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2
    assert problem in line


@pytest.mark.usefixtures("tiny_study")
def test_what_matters_is_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for worth in ("100", "0.0001"):
        assert main(["verdict", "tiny", "--worth", worth, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert [one["worth_points"] for one in told] == [100.0, 0.0001]
