"""optuna-dashboard as it is served: behind a guard, and with a style sheet; WSGI applications around its own."""

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
    """The dashboard, asked for by its own address, and changed by its own page only.

    It deletes studies at a word and asks nobody who says it. A page of somebody else that a browser has open can
    send it such words: with an address of its own that it has made to mean this machine (DNS rebinding; then the
    Host is a foreign one), or across origins (then the Origin is).

    Args:
        application: the dashboard's.
        address: on which it is served; where that is every address of the machine, numbers are taken as hosts,
            which nobody can make mean another machine.
        allowed: further names under which a browser may ask for it.
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
        """What changes something comes from the dashboard's own page, or from no page at all."""
        if environ.get("REQUEST_METHOD", "GET") in _READING:
            return None
        origin = environ.get("HTTP_ORIGIN") or environ.get("HTTP_REFERER")
        if origin is not None and _netloc(origin) != environ.get("HTTP_HOST", "").lower():
            return f"refused: a page of {printable(origin)} must not change anything here"
        if environ.get("HTTP_SEC_FETCH_SITE", "none") not in _OWN:
            return "refused: a page of another site must not change anything here"
        return None


def _host_of(url: str) -> str | None:
    """None where it cannot be read."""
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
    """The dashboard's pages with a style sheet, by which nas-attn's charts follow light and dark.

    It draws a chart in the colours that it comes with, and has a switch between light and dark of which
    only its page knows. A style sheet sees what the page looks like; a server does not.

    Args:
        application: the dashboard's, whose charts have names that begin as ``dashboard.css`` has it.
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

        A browser that has kept a plain dashboard's page of this address would ask whether it is still the same.
        """
        asked = {name: value for name, value in environ.items() if name not in _CONDITIONS}
        answer = answer_of(self._application, asked).without(*_VALIDATORS)
        return replace(answer, body=answer.body.replace(b"</head>", _LINK + b"</head>", 1))


@dataclass(frozen=True)
class Answer:
    """What an application says to a request.

    Args:
        body: of the answer.
        headers: names and values; the length is left to ``sent``.
        status: code and reason.
    """

    body: bytes
    headers: Headers
    status: str = "200 OK"

    @classmethod
    def of_kind(cls, kind: str, body: bytes) -> Answer:
        """The contents of a file of some media type."""
        return cls(body, (("Content-Type", kind),))

    @property
    def is_ok(self) -> bool:
        """Whether the request was granted."""
        return self.status.startswith("200")

    def without(self, *names: str) -> Answer:
        """The same without some headers, named in small letters."""
        kept = tuple((name, value) for name, value in self.headers if name.lower() not in names)
        return Answer(self.body, kept, self.status)

    def sent(self, start_response: StartResponse) -> Iterable[bytes]:
        """Give it to the server."""
        kept = self.without("content-length").headers
        start_response(self.status, [*kept, ("Content-Length", str(len(self.body)))])
        return [self.body]


def answer_of(application: Application, environ: Environ) -> Answer:
    """Ask an application, and wait for all that it says."""
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
