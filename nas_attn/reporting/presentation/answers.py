"""Answers of a WSGI application, taken whole so that they can be changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Headers = tuple[tuple[str, str], ...]
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


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
