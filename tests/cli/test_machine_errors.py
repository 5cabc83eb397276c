"""What the system refuses is told in one line; what is a mistake of the program shows itself."""

from __future__ import annotations

import errno
import os

import pytest

from nas_attn.cli.main import machine_problem, main


@pytest.mark.parametrize(
    ("number", "path", "line"),
    [
        (errno.EACCES, "studies/x/study.db", "studies/x/study.db: Permission denied"),
        (errno.ENOSPC, None, "No space left on device"),
        (errno.EROFS, "out.html", "out.html: Read-only file system"),
        (errno.EIO, "/mnt/a.png", "/mnt/a.png: Input/output error"),
    ],
)
def test_a_refusal_of_the_system_is_one_line_and_exit_code_2(
    number: int, path: str | None, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(arguments: object) -> int:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr("nas_attn.cli.studies.run", refused)

    assert main(["studies"]) == 2
    assert capsys.readouterr() == ("", f"nas-attn: error: {line}\n")


def test_an_error_that_a_program_brings_about_itself_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(arguments: object) -> int:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "x")

    assert machine_problem(FileNotFoundError(errno.ENOENT, "No such file or directory", "x")) is None
    monkeypatch.setattr("nas_attn.cli.studies.run", wrong)
    with pytest.raises(FileNotFoundError):
        main(["studies"])
