"""One tiny study that was searched by the command itself, for all commands that read studies."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

TINY = (
    *("--space", "unet_attention_small", "--base-channels", "4", "--image-size", "16", "--batch-size", "2"),
    *("--steps", "4", "--device", "cpu", "--workers", "1", "--precision", "float32"),
)
"""A search whose trials take a fraction of a second."""


@dataclass(frozen=True)
class TinyStudy:
    """A finished study.

    Args:
        folder: where the command was run; the study lies in its studies/tiny.
        arguments: of the command.
        printed: by the command.
    """

    folder: Path
    arguments: tuple[str, ...]
    printed: str


def search_here(patch: pytest.MonkeyPatch) -> None:
    """Searches of this test have few images and evaluate in this process."""
    from tests import searching  # whose imports take PyTorch

    searching.search_here(patch)


@pytest.fixture(scope="session")
def tiny_study_made(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    from nas_attn.cli.main import main

    folder = tmp_path_factory.mktemp("tiny")
    arguments = ("search", *TINY, "--trials", "10", "--study", "tiny", "--strategy", "random", "--seed", "2")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(folder)
        search_here(patch)
        assert main(arguments) == 0
    return TinyStudy(folder, arguments, printed.getvalue())


@pytest.fixture
def tiny_study(tiny_study_made: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyStudy:
    """A copy of the tiny study below the current folder, which is a temporary one."""
    shutil.copytree(tiny_study_made.folder / "studies", tmp_path / "studies")
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)
    return replace(tiny_study_made, folder=tmp_path)


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Run a command that must be refused: status 2, lines on stderr, no traceback; gives the lines."""
    from nas_attn.cli.main import main

    def run(*arguments: str) -> list[str]:
        try:
            status = main(arguments)
        except SystemExit as stopped:
            status = stopped.code
        printed, errors = capsys.readouterr()
        assert status == 2, printed + errors
        assert "Traceback" not in printed + errors
        lines = errors.splitlines()
        assert lines
        assert all(line.startswith("nas-attn") and ": error: " in line for line in lines), errors
        return [line.partition(": error: ")[2] for line in lines]

    return run


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """All files of a folder, to see that nothing was changed or deleted."""

    def read(folder: Path) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}

    return read


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder in which searches evaluate in this process."""
    monkeypatch.chdir(tmp_path)
    search_here(monkeypatch)
    return tmp_path
