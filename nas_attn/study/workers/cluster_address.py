"""Whether anybody answers at the address of a Ray cluster, found out before Ray is loaded: Ray waits long."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from nas_attn.errors import StudyError

_SECONDS = 5.0
FOUND_BY_RAY = ("auto", "local")
"""No addresses: Ray finds or starts the cluster on this machine."""
_MEND = "start a cluster with 'ray start --head' and give the address that it prints, or leave --address out"


def check_cluster(address: str, seconds: float = _SECONDS) -> None:
    """Connect to an address once, and hang up.

    Args:
        address: ``auto``, ``local``, ``HOST:PORT`` or ``ray://HOST:PORT``.
        seconds: to wait for an answer.
    Raises:
        StudyError: it is none, or nobody answers there.
    """
    if address in FOUND_BY_RAY:
        return
    host, port = _parts(address)
    try:
        socket.create_connection((host, port), seconds).close()
    except (OSError, UnicodeError) as error:
        raise StudyError(f"--address {address}: nobody answers there ({_why(error)}); {_MEND}") from None


def _parts(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme != "ray":
        raise StudyError(
            f"--address {address}: no address of a Ray cluster; give HOST:PORT, such as 10.0.0.5:6379, or "
            "ray://HOST:PORT, or auto for the cluster of this machine"
        )
    return host, port


def _why(error: OSError | UnicodeError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
