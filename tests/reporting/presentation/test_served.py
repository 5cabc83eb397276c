"""Who may ask the dashboard for what, and the style sheet that is put into its pages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from nas_attn.reporting.page import chart_id, dashboard_style
from nas_attn.reporting.presentation.served import Guarded, Styled

PAGE = b"<html><head><title>Optuna Dashboard</title></head><body></body></html>"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]


def asked(guarded: Guarded, method: str = "GET", **headers: str) -> str:
    """The status of a request with these headers."""
    environ = {"REQUEST_METHOD": method, **{f"HTTP_{name.upper()}": value for name, value in headers.items()}}
    setup_testing_defaults(environ)
    if "host" not in headers:
        del environ["HTTP_HOST"]
    statuses: list[str] = []
    body = b"".join(guarded(environ, lambda status, _: statuses.append(status)))
    assert (body == b"served") == (statuses == ["200 OK"])
    return statuses[0]


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST.", "127.0.0.1:8080", "[::1]:8080", "localhost:9000"],
)
def test_this_machine_is_answered_under_its_own_names(host):
    assert asked(Guarded(application, "127.0.0.1"), host=host) == "200 OK"
    assert asked(Guarded(application, "127.0.0.1"), "DELETE", host=host) == "200 OK"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.0.0.5",
        "localhost@evil.example",
        "localhost/evil",
        "localhost:x",
        "[::1",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_foreign_host_is_refused(host, method):
    assert asked(Guarded(application, "127.0.0.1"), method, host=host) == "403 Forbidden"


def test_a_request_without_a_host_is_refused():
    assert asked(Guarded(application, "127.0.0.1")) == "403 Forbidden"


def test_names_that_were_given_are_answered():
    guarded = Guarded(application, "node7", ["studies.example"])

    assert asked(guarded, host="node7:8080") == asked(guarded, host="Studies.example") == "200 OK"
    assert asked(guarded, host="node8") == "403 Forbidden"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", ""])
def test_on_every_address_numbers_are_answered_and_foreign_names_are_not(address):
    guarded = Guarded(application, address)

    assert asked(guarded, host="192.0.2.7:8080") == asked(guarded, host="[2001:db8::7]:8080") == "200 OK"
    assert asked(guarded, host="evil.example") == "403 Forbidden"


WRITERS = {
    "the page itself": ({"origin": "http://localhost:8080"}, "200 OK"),
    "the page itself, which tells more": (
        {"origin": "http://localhost:8080", "sec_fetch_site": "same-origin"},
        "200 OK",
    ),
    "a page of it, by its referer": ({"referer": "http://localhost:8080/dashboard"}, "200 OK"),
    "no page": ({}, "200 OK"),
    "another site": ({"origin": "http://evil.example"}, "403 Forbidden"),
    "another port": ({"origin": "http://localhost:3000"}, "403 Forbidden"),
    "a hidden origin": ({"origin": "null"}, "403 Forbidden"),
    "an origin that cannot be read": ({"origin": "http://[::1"}, "403 Forbidden"),
    "a referer of another site": ({"referer": "http://evil.example/localhost:8080"}, "403 Forbidden"),
    "another site that hides both": ({"sec_fetch_site": "cross-site"}, "403 Forbidden"),
    "a neighbour that hides both": ({"sec_fetch_site": "same-site"}, "403 Forbidden"),
}


@pytest.mark.parametrize(("headers", "status"), WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH"])
def test_only_the_dashboards_own_page_may_change_something(method, headers, status):
    assert asked(Guarded(application, "127.0.0.1"), method, host="localhost:8080", **headers) == status


def test_who_only_reads_may_come_from_anywhere():
    headers = {"host": "localhost:8080", "origin": "http://evil.example", "sec_fetch_site": "cross-site"}

    assert asked(Guarded(application, "127.0.0.1"), "GET", **headers) == "200 OK"


def test_the_refusal_says_what_would_be_right():
    environ = {"REQUEST_METHOD": "GET", "HTTP_HOST": "node7:8080"}
    setup_testing_defaults(environ)

    (body,) = Guarded(application, "127.0.0.1")(environ, lambda *_: None)
    assert body == b"refused: the host node7:8080 is not served here; if it is yours, add --allow-host node7\n"


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
