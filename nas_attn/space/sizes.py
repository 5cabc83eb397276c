"""Which sizes a search space file decides by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas_attn.space.document import parse_document
from nas_attn.space.entry import Entry, Problems
from nas_attn.space.find import find_space
from nas_attn.space.source import read_text, shown_path


@dataclass(frozen=True)
class WrittenSizes:
    """The sizes that a file gives; None where it leaves them to the device's preset."""

    base_channels: int | None
    image_size: int | None


def written_sizes(source: str | Path) -> WrittenSizes:
    """The sizes in a file that ``read_space`` accepts.

    Raises:
        SpaceError: no such file, or it is no YAML.
    """
    path = find_space(source)
    where = shown_path(path)
    document = parse_document(read_text(path), where, Problems(where))
    network = document.value.get("network") if isinstance(document.value, dict) else None
    fields = network.value if network is not None and isinstance(network.value, dict) else {}
    return WrittenSizes(_whole(fields.get("base_channels")), _whole(fields.get("image_size")))


def _whole(entry: Entry | None) -> int | None:
    value = entry.value if entry is not None else None
    return value if isinstance(value, int) else None
