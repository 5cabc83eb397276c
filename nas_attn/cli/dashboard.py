"""Open optuna-dashboard on a study, on this machine only, with drawings, charts and predictions.

  nas-attn dashboard nuclei

Every trial has a note with its placement drawn. The study has the charts of 'nas-attn report', and the prediction
panels that a report has made. All of it follows a running search.

Everybody who can open it can change and delete studies, so it only answers at its own address; --host and
--allow-host add others. Pages of other sites are refused.

The same study in the plain dashboard: optuna-dashboard sqlite:///studies/nuclei/study.db
"""

from __future__ import annotations

import argparse
import socket
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from nas_attn.cli._flags import JOINING, add_settings
from nas_attn.cli._stream import say
from nas_attn.errors import StudyError, UsageError

if TYPE_CHECKING:
    from optuna.artifacts import FileSystemArtifactStore

    from nas_attn.study.setup.folder import StudyFolder

_HOST = "127.0.0.1"
_PORT = 8080
_LAST_PORT = 65535


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument("--host", default=_HOST, metavar="ADDRESS", help=f"address to listen on [{_HOST}]")
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another host name under which browsers may open it; may be repeated [localhost]",
    )
    parser.add_argument("--port", type=int, default=_PORT, metavar="N", help=f"port, 0 for any free one [{_PORT}]")
    add_settings(parser, ("storage",), defaults=JOINING)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from wsgiref.simple_server import make_server

    from optuna_dashboard import wsgi

    from nas_attn.reporting.presentation.annotated import Annotated
    from nas_attn.reporting.presentation.served import Guarded, Styled
    from nas_attn.reporting.presentation.view import Watcher
    from nas_attn.study.setup.find import folder_of, open_study

    if not 0 <= arguments.port <= _LAST_PORT:
        raise UsageError(f"--port: {arguments.port} must be a whole number from 0 to {_LAST_PORT}")
    ledger = open_study(arguments.study, arguments.storage)
    folder = folder_of(arguments.study)
    watcher = Watcher(ledger, folder)
    dashboard = wsgi(ledger.optuna_storage, artifact_store=_artifact_store(folder))
    shown = Styled(Annotated(dashboard, ledger.optuna_id, watcher))
    application = Guarded(shown, arguments.host, arguments.allow_host)
    try:
        server = make_server(
            arguments.host, arguments.port, application, server_class=_Server, handler_class=_QuietHandler
        )
    except (OSError, socket.gaierror) as error:
        raise StudyError(
            f"--host {arguments.host} --port {arguments.port}: cannot listen there: {error.strerror}; "
            "try another --port, or --port 0"
        ) from None
    with server, watcher.watching():
        address = f"http://{arguments.host}:{server.server_port}/dashboard/studies/{ledger.optuna_id}"
        say(f"dashboard of '{ledger.name}': {address} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("dashboard ended")
    return 0


def _artifact_store(folder: StudyFolder) -> FileSystemArtifactStore | None:
    """Where files that the user adds are stored; None if the study has no writable folder."""
    from optuna.artifacts import FileSystemArtifactStore

    try:
        folder.artifacts.mkdir(exist_ok=True)
    except OSError:
        return None
    return FileSystemArtifactStore(folder.artifacts)


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at once."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    """Serves without printing a line for each request."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing."""
