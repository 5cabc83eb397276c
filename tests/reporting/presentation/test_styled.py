"""The style sheet that is put into the dashboard's pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from nas_attn.reporting.page import chart_id, dashboard_style
from nas_attn.reporting.presentation.styled import Styled

PAGE = b"<html><head><title>Optuna Dashboard</title></head><body></body></html>"


class Dashboard:
    """Answers every request with its page, as from a file that is closed afterwards."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.closed = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Dashboard:
        self.asked.append(environ)
        headers = [("Content-Type", "text/html"), ("Content-Length", str(len(PAGE))), ("ETag", "1"), ("X", "kept")]
        start_response("200 OK", headers)
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield PAGE

    def close(self) -> None:
        self.closed += 1


def ask(dashboard: Dashboard, path: str, method: str = "GET", **given: str) -> tuple[str, dict[str, str], bytes]:
    begun: list[Any] = []
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, **given}
    body = b"".join(Styled(dashboard)(environ, lambda *words: begun.append(words)))
    ((status, headers),) = begun
    return status, dict(headers), body


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/studies/1/note"])
def test_a_page_links_the_sheet_which_is_served(path: str) -> None:
    dashboard = Dashboard()
    status, headers, body = ask(dashboard, path)
    (address,) = re.findall(rb'<link rel="stylesheet" href="([^"]+)"></head>', body)
    assert (status, headers["X"], int(headers["Content-Length"])) == ("200 OK", "kept", len(body))
    assert body.replace(b'<link rel="stylesheet" href="' + address + b'">', b"") == PAGE
    assert dashboard.closed == 1
    served = ask(dashboard, address.decode())
    assert (served[1]["Content-Type"], served[2].decode()) == ("text/css", dashboard_style())
    assert len(dashboard.asked) == 1


def test_a_browser_that_knows_the_plain_page_gets_this_one() -> None:
    dashboard = Dashboard()
    _, headers, _ = ask(
        dashboard, "/dashboard", HTTP_IF_NONE_MATCH="1", HTTP_IF_MODIFIED_SINCE="now", HTTP_HOST="x"
    )
    assert set(dashboard.asked[0]) == {"REQUEST_METHOD", "PATH_INFO", "HTTP_HOST"}
    assert "ETag" not in headers


@pytest.mark.parametrize(
    ("path", "method"), [("/api/studies", "GET"), ("/static/bundle.js", "GET"), ("/dashboard", "HEAD")]
)
def test_everything_else_passes_untouched(path: str, method: str) -> None:
    _, headers, body = ask(Dashboard(), path, method)
    assert (body, headers["ETag"]) == (PAGE, "1")


def test_the_sheet_speaks_of_a_studys_page_and_our_charts_and_images_alone() -> None:
    selectors = re.sub(r"/\*.*?\*/|\{[^}]*\}", ",", dashboard_style(), flags=re.DOTALL).split(",")
    ours = (
        f'[id^="user-defined-plot:{chart_id("")}"]',
        'img[src^="/nas-attn/placements/"]',
        "main:has(#plot-history)",
    )
    assert all(any(one in selector for one in ours) for selector in selectors if selector.strip())
