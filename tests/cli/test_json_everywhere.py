"""``--json`` wherever a command prints a table: the same facts, for programs."""

from __future__ import annotations

import json

import pytest

from nas_attn.cli.main import main


@pytest.fixture
def told(capsys):
    def run(*words, status=0):
        assert main([*words, "--json"]) == status
        return json.loads(capsys.readouterr().out)

    return run


def test_studies(tiny_study, told, tmp_path):
    (tmp_path / "studies" / "broken").mkdir()
    (tmp_path / "studies" / "broken" / "study.db").write_bytes(b"no database")
    tiny, broken = told("studies")

    assert (tiny["study"], tiny["space"], tiny["trials"]) == ("tiny", "unet_attention_small", 10)
    assert 0 <= tiny["baseline"] <= 1
    assert broken["problem"].startswith("studies/broken/study.db: no SQLite database")


def test_no_studies(tmp_path, monkeypatch, told):
    monkeypatch.chdir(tmp_path)
    assert told("studies") == []


def test_spaces(told):
    assert "unet_attention_small" in {one["name"] for one in told("spaces")}


def test_a_space(told):
    """Three halvings: pam or none in the bottleneck, cbam, gate or none at skips, scse or none behind."""
    found = told("spaces", "unet_attention_small")

    assert found["placements"] == 2 * 3**3 * 2**3
    assert found["choices"]["bottleneck"] == ["none", "pam"]
    assert found["costs"]["cheapest"]["macs"] <= found["costs"]["costliest"]["macs"]
    assert found["costs"]["baseline"]["attention"] == "none"


def test_attentions(told):
    kinds = told("attentions", "--family", "convolution")
    assert {"dcn", "sk"} <= {kind["name"] for kind in kinds}
    assert {kind["family"] for kind in kinds} == {"convolution"}


def test_an_attention(told):
    (eca,) = told("attentions", "eca")
    assert eca["costs"]["C=64 on 64x64"] == {"parameters": 3, "macs": 192}  # a kernel of 3 over 64 channels
    assert eca["paper"].startswith("Wang et al. 2020")


def test_a_folder_that_cannot_be_used_says_so_in_json_too(told, tmp_path):
    found = told("data", "check", str(tmp_path), status=2)
    assert found["problems"]
