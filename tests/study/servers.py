"""Database servers of a test's own, on this machine, started as the users that they want."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Protocol

_SECONDS = 60.0


class Server(Protocol):
    """A server with an empty database."""

    url: str

    def start(self) -> None:
        """Wait until it answers."""

    def kill(self) -> None:
        """End it at once, as a power cut does."""

    def remove(self) -> None:
        """End it and delete its data."""


class PostgreSQL:
    """A PostgreSQL server.

    Args:
        binaries: folder of ``initdb`` and ``pg_ctl``.
    """

    def __init__(self, binaries: Path) -> None:
        self._binaries, self._port = binaries, _free_port()
        self._user = "postgres" if os.getuid() == 0 else None
        self._folder = _folder_of(self._user)
        self._run("initdb", "-D", str(self._data), "-U", "me", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.url = f"postgresql+psycopg://me:secret@127.0.0.1:{self._port}/postgres"
        self.start()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def start(self) -> None:
        options = f"-p {self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "-D", str(self._data), "-w", "-o", options, "-l", str(self._folder / "log"), "start")

    def kill(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        subprocess.run(
            [self._binaries / "pg_ctl", "-D", self._data, "-m", "immediate", "stop"],
            user=self._user,
            check=False,
            capture_output=True,
            cwd="/",
        )
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        # Not through pipes: the server would inherit them and keep them open.
        with (self._folder / "out").open("ab") as out:
            subprocess.run(
                [self._binaries / program, *arguments],
                user=self._user,
                check=True,
                stdout=out,
                stderr=out,
                cwd="/",
                timeout=_SECONDS,
            )


class MariaDB:
    """A MariaDB server, which speaks MySQL's language."""

    def __init__(self) -> None:
        self._port = _free_port()
        self._user = "mysql" if os.getuid() == 0 else None
        self._folder = _folder_of(self._user)
        self._common = ("--no-defaults", f"--datadir={self._folder / 'data'}")
        with (self._folder / "out").open("ab") as out:
            subprocess.run(
                [
                    "mariadb-install-db",
                    *self._common,
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ],
                user=self._user,
                check=True,
                stdout=out,
                stderr=out,
                timeout=_SECONDS,
            )
        self.url = f"mysql+pymysql://root@127.0.0.1:{self._port}/studies"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        program = shutil.which("mariadbd") or "mariadbd"
        options = (f"--port={self._port}", "--bind-address=127.0.0.1", f"--socket={self._folder / 'socket'}")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self._common, *options], user=self._user, stdout=log, stderr=log, cwd="/"
            )
        end = time.monotonic() + _SECONDS
        while not self._answers():
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError((self._folder / "log").read_text(errors="replace"))
            time.sleep(0.2)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        import pymysql

        try:
            connection = pymysql.connect(host="127.0.0.1", port=self._port, user="root")
        except pymysql.err.OperationalError:
            return False
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS studies")
        return True


def postgresql_binaries() -> Path | None:
    """Where PostgreSQL is installed; None where it is not."""
    beside = shutil.which("initdb")
    folders = [Path(beside).parent] if beside else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").is_file()), None)


def _folder_of(user: str | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="nas-attn-server-"))
    if user:
        shutil.chown(folder, user)
    return folder


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
