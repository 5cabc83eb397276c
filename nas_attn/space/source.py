"""The text of a file that someone else wrote."""

from __future__ import annotations

from pathlib import Path

from nas_attn.errors import SpaceError

MAX_BYTES = 256 * 1024


def read_text(path: Path) -> str:
    """The whole file as text; a byte order mark is left out.

    Raises:
        SpaceError: the file is missing, no regular file, too large, or not UTF-8.
    """
    where = shown_path(path)
    try:
        if path.is_dir():
            raise SpaceError(f"{where}: this is a folder; name a .yaml file")
        if not path.exists():
            raise SpaceError(f"{where}: no such file")
        if not path.is_file():
            raise SpaceError(f"{where}: this is no regular file; name a .yaml file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise SpaceError(f"{where}: larger than {MAX_BYTES // 1024} KiB; a search space takes a few")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SpaceError(f"{where}: line {line}: not UTF-8 text; save the file as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise SpaceError(f"{where}: cannot be read: {reason}") from None


def shown_path(path: Path) -> str:
    """The path as its reader knows it: relative where it lies in the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
