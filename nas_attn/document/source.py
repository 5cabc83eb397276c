"""The text of a file that someone else wrote."""

from __future__ import annotations

from pathlib import Path

from nas_attn.document.entry import FileKind


def read_text(path: Path, kind: FileKind, where: str | None = None) -> str:
    """The whole file as text; a byte order mark is left out.

    Args:
        path: of the file.
        kind: of the file.
        where: what errors call it; its path where left out.
    Raises:
        NasAttnError: as the kind says, where the file is missing, no regular file, too large, or not UTF-8.
    """
    where = where or shown_path(path)
    try:
        if path.is_dir():
            raise kind.error(f"{where}: this is a folder; name {kind.example}")
        if not path.exists():
            raise kind.error(f"{where}: no such file{kind.missing.format(path=where)}")
        if not path.is_file():
            raise kind.error(f"{where}: this is no regular file; name {kind.example}")
        with path.open("rb") as file:
            content = file.read(kind.most_bytes + 1)
        if len(content) > kind.most_bytes:
            raise kind.error(f"{where}: larger than {kind.most_bytes // 1024} KiB; {kind.noun} takes a few")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise kind.error(f"{where}: line {line}: not UTF-8 text; save the file as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise kind.error(f"{where}: cannot be read: {reason}") from None


def shown_path(path: Path) -> str:
    """The path as its reader knows it: relative where it lies in the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
