"""optuna-dashboard as it is served: behind a guard and with a style sheet, both as WSGI applications around it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from nas_attn.printable import printable
from nas_attn.reporting.page import dashboard_style

_HERE = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")
_READING = ("GET", "HEAD", "OPTIONS")
_OWN = ("same-origin", "none")
_SHEET = "/nas-attn/dashboard.css"
_LINK = f'<link rel="stylesheet" href="{_SHEET}">'.encode()
_PAGES = "/dashboard"
_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE")
_VALIDATORS = ("etag", "last-modified", "accept-ranges")

Headers = tuple[tuple[str, str], ...]
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class Guarded:
    """Protects the dashboard: it is only reachable under its own address, and only its own page may change
    anything.

    The dashboard deletes studies on request without asking who sends it. A page of others in the user's browser
    could send such requests: under an address of its own that it maps to this machine (DNS rebinding; the Host
    header is then foreign), or across origins (the Origin header is then foreign).

    Args:
        application: the dashboard's.
        address: on which it is served; if that is every address of the machine, numeric hosts are accepted,
            because nobody can map them to another machine.
        allowed: further host names under which a browser may open it.
    """

    def __init__(self, application: Application, address: str, allowed: Iterable[str] = ()) -> None:
        self._application = application
        self._hosts = {_plain(name) for name in (*_HERE, address, *allowed)}
        self._takes_numbers = address in _EVERYWHERE

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request, or refuse it."""
        problem = self._host_problem(environ) or self._origin_problem(environ)
        if problem is None:
            return self._application(environ, start_response)
        headers = (("Content-Type", "text/plain; charset=utf-8"),)
        return Answer(f"{problem}\n".encode(), headers, "403 Forbidden").sent(start_response)

    def _host_problem(self, environ: Environ) -> str | None:
        host = environ.get("HTTP_HOST", "")
        name = _host_of(f"//{host}")
        if name is not None and (name in self._hosts or (self._takes_numbers and _is_number(name))):
            return None
        told = printable(host) or "(none)"
        return (
            f"refused: the host {told} is not served here; if it is yours, add --allow-host {told.split(':')[0]}"
        )

    def _origin_problem(self, environ: Environ) -> str | None:
        """What is wrong with the origin of a request that changes something: it must be the dashboard's own page,
        or no page at all."""
        if environ.get("REQUEST_METHOD", "GET") in _READING:
            return None
        origin = environ.get("HTTP_ORIGIN") or environ.get("HTTP_REFERER")
        if origin is not None and _netloc(origin) != environ.get("HTTP_HOST", "").lower():
            return f"refused: a page of {printable(origin)} must not change anything here"
        if environ.get("HTTP_SEC_FETCH_SITE", "none") not in _OWN:
            return "refused: a page of another site must not change anything here"
        return None


def _host_of(url: str) -> str | None:
    """The host of a URL; None if it cannot be read."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is not a number
    except ValueError:
        return None
    return None if parts.hostname is None or parts.path or parts.username else _plain(parts.hostname)


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _plain(name: str) -> str:
    return name.lower().strip("[]").rstrip(".")


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Styled:
    """Adds a style sheet to the dashboard's pages, so that nas-attn's charts follow light and dark mode.

    The dashboard draws a chart in the chart's own colours, and only its page knows the current mode. A style sheet
    sees the state of the page; a server does not.

    Args:
        application: the dashboard's, with charts whose names start as ``dashboard.css`` expects.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") == "GET":
            if path == _SHEET:
                return Answer.of_kind("text/css", dashboard_style().encode()).sent(start_response)
            if path.startswith(_PAGES):
                return self._linked(environ).sent(start_response)
        return self._application(environ, start_response)

    def _linked(self, environ: Environ) -> Answer:
        """A page with a link to the style sheet.

        Conditional requests are answered in full, because a browser may have cached a page of the plain dashboard
        from this address.
        """
        asked = {name: value for name, value in environ.items() if name not in _CONDITIONS}
        answer = answer_of(self._application, asked).without(*_VALIDATORS)
        return replace(answer, body=answer.body.replace(b"</head>", _LINK + b"</head>", 1))


@dataclass(frozen=True)
class Answer:
    """An application's answer to a request.

    Args:
        body: of the answer.
        headers: names and values; ``sent`` adds the length.
        status: code and reason.
    """

    body: bytes
    headers: Headers
    status: str = "200 OK"

    @classmethod
    def of_kind(cls, kind: str, body: bytes) -> Answer:
        """The contents of a file of a media type."""
        return cls(body, (("Content-Type", kind),))

    @property
    def is_ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status.startswith("200")

    def without(self, *names: str) -> Answer:
        """The answer without some headers, named in lower case."""
        kept = tuple((name, value) for name, value in self.headers if name.lower() not in names)
        return Answer(self.body, kept, self.status)

    def sent(self, start_response: StartResponse) -> Iterable[bytes]:
        """Send the answer to the server."""
        kept = self.without("content-length").headers
        start_response(self.status, [*kept, ("Content-Length", str(len(self.body)))])
        return [self.body]


def answer_of(application: Application, environ: Environ) -> Answer:
    """Call an application, and wait for its whole answer."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def remember(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        begun.append((status, headers))

    parts = application(environ, remember)
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    status, headers = begun[-1]
    return Answer(body, tuple(headers), status)
