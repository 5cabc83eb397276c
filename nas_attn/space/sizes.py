"""Which sizes a search space file decides by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas_attn.document import Entry, Problems, parse_document, read_text, shown_path
from nas_attn.space.find import find_space
from nas_attn.space.write import SPACE_FILE


@dataclass(frozen=True)
class WrittenSizes:
    """The sizes that a file gives; None where it leaves them to the device's preset.

    Args:
        base_channels: C at full resolution.
        image_size: side of the images.
        ladder: steps of its rungs, such as ``60,180,540``; None where it has no ladder.
        frames: T of its clips.
    """

    base_channels: int | None
    image_size: int | None
    ladder: str | None = None
    frames: int | None = None


def written_sizes(source: str | Path) -> WrittenSizes:
    """The sizes in a file that ``read_space`` accepts.

    Raises:
        SpaceError: no such file, or it is no YAML.
    """
    path = find_space(source)
    document = parse_document(read_text(path, SPACE_FILE), Problems(shown_path(path), SPACE_FILE))
    written = document.fields.get("network", document).fields
    sizes = {name: _whole(written.get(name)) for name in ("base_channels", "image_size", "frames")}
    ladder = document.fields.get("ladder")
    steps = ladder.value if ladder is not None and isinstance(ladder.value, tuple) else ()
    return WrittenSizes(**sizes, ladder=",".join(str(step.value) for step in steps) or None)


def _whole(entry: Entry | None) -> int | None:
    value = entry.value if entry is not None else None
    return value if isinstance(value, int) else None
