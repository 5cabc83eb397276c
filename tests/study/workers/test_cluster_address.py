"""Whether somebody answers at an address of a Ray cluster; Ray need not be installed."""

from __future__ import annotations

import socket

import pytest

from nas_attn.cli.main import main
from nas_attn.errors import StudyError
from nas_attn.study.workers import ray_pool
from nas_attn.study.workers.ray_pool import check_cluster


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}"])
def test_an_address_where_somebody_listens_will_do(form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_cluster(form.format(server.getsockname()[1]))
        server.accept()[0].close()


@pytest.mark.parametrize("word", ["auto", "local"])
def test_what_ray_finds_itself_is_left_to_ray(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "create_connection")
    check_cluster(word)


def test_an_address_where_nobody_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(StudyError, match=rf"^--address 127\.0\.0\.1:{port}: no answer there .*'ray start"):
        check_cluster(f"127.0.0.1:{port}")


def test_a_machine_that_swallows_what_it_is_sent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(place: tuple[str, int], timeout: float) -> socket.socket:
        assert place == ("10.255.255.1", 6379)
        assert 0 < timeout <= 10
        raise TimeoutError("timed out")

    monkeypatch.setattr(ray_pool.socket, "create_connection", silent)
    with pytest.raises(StudyError, match=r"10\.255\.255\.1:6379: no answer there \(no answer in time\)"):
        check_cluster("10.255.255.1:6379")


@pytest.mark.parametrize(
    "address",
    ["nobody", "10.0.0.5", "10.0.0.5:", ":6379", "10.0.0.5:0", "10.0.0.5:99999", "http://a:1", "[::1:6379", "a b"],
)
def test_what_is_no_address_is_told_from_one_without_an_answer(address: str) -> None:
    with pytest.raises(StudyError, match="no address of a Ray cluster; give HOST:PORT"):
        check_cluster(address)


def test_a_name_that_cannot_be_one_is_a_line_and_no_traceback() -> None:
    with pytest.raises(StudyError, match="no answer there"):
        check_cluster(f"{'x' * 300}:6379")


def test_a_search_says_it_before_ray_is_touched(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main(["search", "--engine", "ray", "--address", f"127.0.0.1:{port}"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "--address" in line]
    assert len(lines) == 1
    assert "no answer there" in lines[0]
