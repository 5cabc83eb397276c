"""Requests and study files: every problem at once, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_attn.config.checks import seconds
from nas_attn.config.settings import StudyRequest
from nas_attn.errors import StudyError, UsageError
from nas_attn.study.setup.request import kept_request, request_from
from nas_attn.study.setup.study_file import read_study_file, study_text


def test_a_study_from_before_a_choice_existed_keeps_what_was_done_then() -> None:
    kept = StudyRequest(study="s", seed=3).to_dict()
    assert kept_request(kept) == StudyRequest(study="s", seed=3)
    del kept["screening_seeds"], kept["ladder_start"]
    assert kept_request(kept) == StudyRequest(study="s", seed=3, screening_seeds=1, ladder_start="scratch")


def test_every_problem_of_a_request_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        request_from(
            {"trials": 0, "seed": "x", "cost": "price", "device": "tpu", "workers": "many", "finalists": 1}
        )

    assert caught.value.problems == (
        "trials: 0 must be a whole number from 1 to 1000000",
        "seed: 'x' must be a whole number from 0 to 4294967295",
        "cost: 'price' must be macs | parameters | latency | memory",
        "device: unknown device 'tpu'; it must be auto | cpu | cuda | cuda:N, or several: cuda:0,cuda:2",
        "workers: 'many' must be a whole number from 1 to 4096, or 'auto'",
        "finalists: 1 must be a number from 0 to below 1",
    )


@pytest.mark.parametrize(
    ("text", "wanted"), [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("2h", 7200), ("1h0m5s", 3605)]
)
def test_a_time_is_read(text: str, wanted: int) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["30", "half an hour", "0m", "1.5h", "-3m", "5m2h"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"timeout: '.*' is not a time; write 90s, 30m or 1h30m"):
        request_from({"timeout": text})


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("trials", 1, 10**6),
        ("seed", 0, 2**32 - 1),
        ("base_channels", 1, 4096),
        ("image_size", 4, 4096),
        ("frames", 1, 256),
        ("batch_size", 1, 4096),
        ("steps", 1, 10**8),
        ("parallel", 1, 4096),
        ("screening_seeds", 1, 1000),
        ("longest_side", 4, 65536),
        ("workers", 1, 4096),
    ],
)
def test_every_whole_number_has_its_range(name: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(request_from({name: value}), name) == value
    with pytest.raises(UsageError, match=f"{name}: {least - 1} must be a whole number from {least} to {most}"):
        request_from({name: least - 1})
    for value, shown in ((most + 1, most + 1), (2**64, 2**64), (10**5000, "a number of more than 30 digits")):
        with pytest.raises(UsageError, match=f"{name}: {shown} must be a whole number from {least} to {most}"):
            request_from({name: value})


@pytest.mark.parametrize("text", ["9" * 19 + "s", "9" * 5000 + "h", "8785h"])
def test_a_time_is_a_year_at_most(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time; write 90s, 30m or 1h30m, of at most a year") as caught:
        request_from({"timeout": text})
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize("text", ["60," + "9" * 19, "60," + "9" * 5000, "60,100000001"])
def test_a_ladder_has_as_many_steps_as_a_trial_may_have(text: str) -> None:
    with pytest.raises(UsageError, match="is not a ladder"):
        request_from({"ladder": text})


@pytest.mark.parametrize("name", ["data", "space"])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a\0b", "has a NUL in it, which no path can have"),
        ("x" * 300, "is too long for a path: each part may have at most 255 bytes"),
        ("é" * 128, "is too long for a path"),
        ("a/" * 2048, "is too long for a path"),
    ],
    ids=["NUL", "300 letters", "256 bytes", "4096 bytes"],
)
def test_what_no_path_can_be_is_told(name: str, text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        request_from({name: text})
    assert len(str(caught.value)) < 150
    assert request_from({name: "é" * 127}) is not None


@pytest.mark.parametrize("text", ["60", "60,", "180,60", "60,60,180", "0,60", "60;180", "a,b"])
def test_what_is_no_ladder_is_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"ladder: '.*' is not a ladder; write growing numbers of steps"):
        request_from({"ladder": text})


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "x" * 81, "new\nline"])
def test_a_study_name_is_no_path(name: str) -> None:
    with pytest.raises(UsageError, match="study"):
        request_from({"study": name})


def test_true_is_no_number() -> None:
    with pytest.raises(UsageError, match="trials: true must be a whole number"):
        request_from({"trials": True})


def test_a_ceiling_is_checked_by_its_reader() -> None:
    with pytest.raises(UsageError, match="max_macs"):
        request_from({"max_macs": "twice"})
    assert request_from({"max_macs": "1.5x"}).max_macs == "1.5x"


def test_a_study_file_gives_what_was_written(tmp_path: Path) -> None:
    request = StudyRequest(study="nuclei", data="some/folder", trials=60, longest_side="full", max_macs="1.5x")
    path = tmp_path / "nuclei.yaml"
    path.write_text(
        study_text(request.to_dict(), command="nas-attn search --config nuclei.yaml"), encoding="utf-8"
    )

    assert StudyRequest(**read_study_file(path)) == request


def test_a_study_file_names_every_problem_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("version: 1\ntrails: 5\nseed: -1\nspace: [a, b]\nsteps: 0\n", encoding="utf-8")

    with pytest.raises(StudyError) as caught:
        read_study_file(path)

    assert [problem.partition("study.yaml: ")[2] for problem in caught.value.problems] == [
        "line 2: trails: unknown field; did you mean 'trials'?",
        "line 3: seed: -1 must be a whole number from 0 to 4294967295",
        "line 4: space: a list must be text",
        "line 5: steps: 0 must be a whole number from 1 to 100000000",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("trials: 5\n", "the field 'version' is missing; write version: 1"),
        ("version: 2\n", "2 is not a version that this nas-attn reads; write 1"),
        ("- version: 1\n", "must be a mapping"),
        ("version: 1\ntrials: &a 5\n", "anchors and aliases"),
        ("version: 1\ntrials: [\n", "not valid YAML"),
    ],
    ids=["no version", "newer", "list", "anchor", "syntax"],
)
def test_a_study_file_that_is_none_says_what_would_be_right(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(StudyError, match=problem):
        read_study_file(path)


def test_a_missing_study_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="nowhere"):
        read_study_file(tmp_path / "nowhere.yaml")
