"""A real PostgreSQL server that goes down and comes back while studies are begun and opened."""

from __future__ import annotations

import gc
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nas_attn.study.database.ledger import Ledger

STARTS, RESTARTS = 6, 3


@pytest.fixture
def server() -> Iterator[Any]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    spec = importlib.util.spec_from_file_location("servers", Path(__file__).parents[1] / "servers.py")
    assert spec is not None
    assert spec.loader is not None
    servers = importlib.util.module_from_spec(spec)
    sys.modules["servers"] = servers
    spec.loader.exec_module(servers)
    binaries = servers.postgresql_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed")
    made = servers.PostgreSQL(binaries)
    yield made
    made.remove()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_studies_are_begun_and_opened_while_their_server_is_restarted(server: Any) -> None:
    begun: list[str] = []

    def begin() -> None:
        for number in range(STARTS):
            name = f"{threading.get_ident()}-{number}"
            assert not Ledger.exists(server.url, name)
            Ledger.create(server.url, name, {"seed": number}, {}, "macs")
            opened = Ledger.open(server.url, name)
            assert (opened.identity, opened.plan, opened.records()) == ({"seed": number}, None, ())
            begun.append(name)

    threads = [threading.Thread(target=begin) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(RESTARTS):
        threads[0].join(timeout=1)
        server.kill()
        server.start()
    for thread in threads:
        thread.join()
    gc.collect()  # connections that were broken warn now, where it is not heeded
    assert len(begun) == 2 * STARTS
