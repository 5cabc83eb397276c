"""Standard output that cannot encode our signs, is full, or is closed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_attn.cli._stream import STDOUT, OutputError, complain, say


def written(monkeypatch: pytest.MonkeyPatch, encoding: str, text: str) -> str:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    say(text)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "0.3 ±0.1 ─ röntgen 日\n"),
        ("latin-1", "0.3 ±0.1 - röntgen \\u65e5\n"),
        ("ascii", "0.3 +-0.1 - r\\xf6ntgen \\u65e5\n"),
    ],
)
def test_what_an_encoding_lacks_is_written_plainly(
    monkeypatch: pytest.MonkeyPatch, encoding: str, expected: str
) -> None:
    assert written(monkeypatch, encoding, "0.3 ±0.1 ─ röntgen 日") == expected


def test_a_lone_byte_of_a_file_name_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, "utf-8", os.fsdecode(b"a\xff.png")) == "a\\udcff.png\n"


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("a\nb\x1b]0;title\x07")

    assert capsys.readouterr().err == "a\\nb\\x1b]0;title\\x07\n"


def test_a_closed_output_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    say("nobody hears this")
    assert STDOUT.isatty() is False


def test_a_full_output_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OutputError, match="standard output: cannot be written: No space left on device"):
        say("much")


COMMANDS = {
    "help": ["--help"],
    "help of a verb": ["search", "--help"],
    "rank": ["rank", "tiny"],
    "rank --json": ["rank", "tiny", "--json"],
    "effects": ["effects", "tiny"],
    "studies": ["studies"],
    "spaces": ["spaces", "unet_attention_small"],
    "attentions": ["attentions", "cbam"],
}


def run(folder: Path, *words: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "nas_attn", *words]
    return subprocess.run(command, cwd=folder, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_full_disk_under_the_output_is_one_line(tiny_study, command):
    with Path("/dev/full").open("wb") as full:
        unbuffered = "1" if command[-1] == "tiny" else ""
        environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
        ended = run(tiny_study.folder, *command, stdout=full, stderr=subprocess.PIPE, env=environment)

    assert ended.stderr.decode() == (
        "nas-attn: error: standard output: cannot be written: No space left on device\n"
    )
    assert ended.returncode == 2


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_poor_terminal_gets_plain_letters(tiny_study, command):
    encoding = "latin-1" if "--json" in command else "ascii"
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict", "LANG": "C", "PYTHONUTF8": "0"}
    ended = run(tiny_study.folder, *command, capture_output=True, env=environment)

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout
    ended.stdout.decode(encoding)


def test_a_mistake_is_told_to_a_poor_terminal(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    ended = run(tmp_path, "rank", "röntgen", capture_output=True, env=environment)

    assert ended.returncode == 2
    assert ended.stderr.startswith(b"nas-attn: error: there is no study 'r\\xf6ntgen' in studies/")


def test_a_reader_who_goes_away_is_not_complained_of(tiny_study):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        ended = run(tiny_study.folder, "rank", "tiny", stdout=pipe, stderr=subprocess.PIPE)

    assert ended.stderr == b""


def test_an_error_that_cannot_be_written_leaves_its_status(tmp_path):
    with Path("/dev/full").open("wb") as full:
        assert run(tmp_path, "rank", "nowhere", stdout=full, stderr=full).returncode == 2
