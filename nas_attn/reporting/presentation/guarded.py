"""optuna-dashboard behind a guard: asked for by its own address, and changed by its own page only.

The dashboard deletes studies at a word and asks nobody who says it. A page of somebody else that a browser has
open can send it such words: with an address of its own that it has made to mean this machine (DNS rebinding; then
the Host is a foreign one), or across origins (then the Origin is).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from nas_attn.printable import printable
from nas_attn.reporting.presentation.answers import Answer, Application, Environ, StartResponse

_HERE = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")
_READING = ("GET", "HEAD", "OPTIONS")
_OWN = ("same-origin", "none")


class Guarded:
    """A WSGI application around the dashboard's.

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
        _ = parts.port  # raises where it is no number
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
