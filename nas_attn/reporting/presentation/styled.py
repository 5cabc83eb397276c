"""optuna-dashboard's pages with a style sheet, by which nas-attn's charts follow light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nas_attn.reporting.page import dashboard_style
from nas_attn.reporting.presentation.answers import Answer, Application, Environ, StartResponse, answer_of

_SHEET = "/nas-attn/dashboard.css"
_LINK = f'<link rel="stylesheet" href="{_SHEET}">'.encode()
_PAGES = "/dashboard"
_CONDITIONS = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_RANGE")
_VALIDATORS = ("etag", "last-modified", "accept-ranges")


class Styled:
    """A WSGI application around the dashboard's.

    The dashboard draws a chart in the colours that it comes with, and has a switch between light and dark of which
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
