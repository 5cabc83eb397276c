"""Each setting is declared once, and everything that tells of settings tells the same."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path
from typing import get_type_hints

import pytest

from nas_attn import api
from nas_attn.cli import search
from nas_attn.config.described import described_settings, settings_table
from nas_attn.config.settings import BUILT_IN, COSTS, FIELDS, GROUPS, PRECISIONS, StudyRequest
from nas_attn.document.words import members, split
from nas_attn.strategy import STRATEGIES

SETTINGS = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    search.add_arguments(parser)
    return parser


def test_every_setting_is_a_flag_in_the_group_of_the_table() -> None:
    shown = {
        group.title: {name for action in group._group_actions for name in action.option_strings}
        for group in flags()._action_groups
    }
    for group in GROUPS:
        wanted = {one.flag for one in described_settings().values() if one.group == group}
        assert wanted
        off = {f"--no-{one.flag[2:]}" for one in described_settings().values() if one.is_switch}
        assert shown[group] - {"--devices"} - off == wanted


def test_the_python_signature_is_the_table() -> None:
    parameters = inspect.signature(api.search).parameters
    assert set(parameters) == {*FIELDS, "listener", "progress"}
    for name in FIELDS:
        assert parameters[name].default == getattr(StudyRequest(), name), name
        accepted = {split(kind)[0] for kind in members(get_type_hints(StudyRequest, include_extras=True)[name])}
        annotated = set(str(parameters[name].annotation).split(" | "))
        plain = {
            word
            for kind in accepted
            for word in ("None" if kind is type(None) else getattr(kind, "__name__", str(kind))).split(" | ")
        }
        plain = {"str" if word == "Literal" else word for word in plain}
        assert annotated - {"Path", "object", "Callable[..., nn.Module]"} == plain, name


def test_the_docs_of_python_describe_every_setting() -> None:
    text = " ".join(str(api.search.__doc__).split())
    assert "{settings}" not in text
    for one in described_settings().values():
        assert f"{one.name}: {one.sentence}; {one.default} where left out." in text


def test_every_argument_of_python_reaches_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[StudyRequest] = []

    def resolve(request: StudyRequest) -> None:
        found.append(request)
        raise StopIteration

    monkeypatch.setattr(api, "resolve", resolve)
    given = {
        "study": "s", "space": "a", "data": "d", "trials": 7, "timeout": "3m", "seed": 5, "screening_seeds": 2,
        "strategy": "gp", "cost": "latency", "metric": "mean-dice", "loss": "focal",
        "class_weights": "1,2", "foreground": 0.3, "folds": 3, "storage": "sqlite:///x",
        "start": "identity", "network": "a.b:c", "weights": "none", "base_channels": 9,
        "image_size": 33, "frames": 3, "batch_size": 6, "steps": 11, "budget": "auto", "ladder": "1,2",
        "ladder_start": "scratch", "longest_side": 77, "max_macs": "2x", "max_parameters": 50, "max_cost": "3x",
        "finalists": 0.5, "worth": 0.3, "stop": False,
        "device": "cpu", "workers": 2, "parallel": 4, "engine": "ray", "address": "auto",
        "gpu_share": 0.5, "precision": "float32", "out_of_memory": "split", "log_level": "debug",
    }  # fmt: skip
    assert set(given) == set(FIELDS)
    with pytest.raises(StopIteration):
        api.search(**given)  # type: ignore[arg-type]
    assert found == [StudyRequest(**given)]  # type: ignore[arg-type]


def test_the_table_of_the_docs_is_the_table() -> None:
    assert settings_table() in SETTINGS, f"put this into docs/settings.md:\n{settings_table()}"


def test_the_help_lists_the_strategies_that_are_registered() -> None:
    assert search.strategy_names() == list(STRATEGIES)
    text = " ".join(flags().format_help().split())
    assert f"how placements are proposed: {' | '.join(STRATEGIES)} [additive]" in text


def test_words_of_the_table_are_those_of_the_code() -> None:
    from nas_attn.analysis import COSTS as RANKED
    from nas_attn.data import BUILT_IN as DATA
    from nas_attn.training import Precision

    assert set(COSTS) == set(RANKED)
    assert set(BUILT_IN) == set(DATA)
    assert {str(Precision.parse(text)) for text in PRECISIONS} == set(PRECISIONS)
