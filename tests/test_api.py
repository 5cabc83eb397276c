"""The same from Python."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import nas_attn
from nas_attn import api
from nas_attn.errors import ExportError, NasAttnError, SpaceError, UsageError
from nas_attn.record import TrialRecord
from tests.searching import TINY, search_here


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch, n_train=4, n_val=2)
    return tmp_path


def test_a_search_gives_a_ranking_and_a_network() -> None:
    heard: list[int] = []

    def listener(records: Sequence[TrialRecord]) -> None:
        heard.append(len(records))

    result = nas_attn.search(**TINY, trials=2, study="mine", listener=listener)  # type: ignore[arg-type]

    assert result.study == "mine"
    assert len(result.records) == 2
    assert result.ranking.plain is not None
    assert heard[0] == 0
    assert heard[-1] == 2
    assert result.best is not None
    network = nas_attn.load(result.best)
    assert network(torch.zeros(2, 3, 16, 16)).shape == (2, 3, 16, 16)
    again = nas_attn.search(**TINY, trials=2, study="mine")  # type: ignore[arg-type]
    assert again.records == result.records


def test_every_problem_of_a_call_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        nas_attn.search(trials=0, cost="price", study="a/b")

    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["study", "trials", "cost"]


def test_a_space_is_read_by_name_and_changed_by_keywords() -> None:
    space = nas_attn.read_space("unet_attention", in_channels=1, classes=4, base_channels=6, image_size=48)

    assert isinstance(space, nas_attn.SearchSpace)
    assert (space.network.in_channels, space.network.classes, space.network.base_channels) == (1, 4, 6)
    assert (space.height, space.width) == (48, 48)
    with pytest.raises(SpaceError, match="did you mean 'unet_attention'"):
        nas_attn.read_space("unet_atention")


def test_a_file_that_is_no_architecture_is_refused(here: Path) -> None:
    (here / "x.yaml").write_text("format: 1\n")

    with pytest.raises(ExportError, match="network"):
        nas_attn.load("x.yaml")
    with pytest.raises(NasAttnError, match=r"gone\.yaml"):
        nas_attn.load("gone.yaml")


def test_the_examples_of_the_documentation_run() -> None:
    assert doctest.testmod(api).failed == 0


def test_every_public_thing_is_there_and_documented() -> None:
    for name in nas_attn.__all__:
        assert inspect.getdoc(getattr(nas_attn, name)), name
    assert set(nas_attn.__all__) <= set(dir(nas_attn))
    with pytest.raises(AttributeError, match="no attribute 'serach'"):
        nas_attn.serach  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys, nas_attn; print([name for name in ('torch', 'optuna', 'lightning') if name in sys.modules])"
    )
    root = str(Path(__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)

    assert done.stdout.strip() == "[]"
