"""A study in a real PostgreSQL server: searched, joined, exported, reported, and its password never shown."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_attn.cli.main import main

TINY = (
    *("--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16", "--batch-size", "2"),
    *("--steps", "4", "--device", "cpu", "--workers", "1", "--precision", "float32", "--strategy", "random"),
)


def _servers() -> Any:
    path = Path(__file__).parents[1] / "study" / "servers.py"
    spec = importlib.util.spec_from_file_location("servers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["servers"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def url() -> Iterator[str]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    servers = _servers()
    binaries = servers.postgresql_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed")
    server = servers.PostgreSQL(binaries)
    yield server.url.replace("postgresql+psycopg", "postgresql")
    server.remove()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # connections end with the process
def test_a_study_on_a_server_keeps_its_password_to_itself(here, url, capfd, monkeypatch, tmp_path_factory):
    assert ":secret@" in url
    storage = ("--storage", url)
    assert main(["search", *TINY, "--trials", "9", "--study", "s", *storage]) == 0
    assert main(["search", *TINY, "--trials", "10", "--study", "s", *storage]) == 0
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with monkeypatch.context() as patch:
        patch.chdir(elsewhere)
        assert main(["worker", "s", "--device", "cpu", "--workers", "1", *storage]) == 0
    assert main(["rank", "s", *storage]) == 0
    assert main(["export", "s", "-o", "best.yaml", *storage]) == 0
    assert main(["report", "s", "-o", "report.html", *storage]) == 0
    assert main(["search", *TINY, "--trials", "10", "--study", "s", "--seed", "1", *storage]) == 2
    printed, errors = capfd.readouterr()

    assert "study    s, in postgresql://me:***@127.0.0.1" in printed
    assert "study 's' has its 10 trials" in printed
    assert "seed was 0 and is now 1" in errors
    assert "secret" not in printed + errors
    written = [path for folder in (here, elsewhere) for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 8
    assert [path for path in written if b"secret" in path.read_bytes()] == []
