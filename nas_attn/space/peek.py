"""Read a part of a search space file in advance: its network, and its sizes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nas_attn.document import Entry, FileKind, read_document, read_model
from nas_attn.errors import NetworkError
from nas_attn.models.asked_network import AskedNetwork
from nas_attn.models.described_network import WrittenDescription
from nas_attn.space.fields import WrittenOtherNetwork
from nas_attn.space.find import find_space
from nas_attn.space.read import is_other
from nas_attn.space.write import SPACE_FILE

NETWORK_FILE = FileKind(
    "a network file", "family: smp", NetworkError, example="a network file, such as network.yaml"
)


def asked_in_space(source: str | Path) -> AskedNetwork | None:
    """The network of a space file that ``read_space`` accepts, as it was asked for; None for nas-attn's own.

    Raises:
        SpaceError: there is no such file, or its network has errors.
    """
    document, problems = read_document(find_space(source), SPACE_FILE)
    if not is_other(document):
        return None
    written = read_model(document.fields["network"], WrittenOtherNetwork, problems)
    problems.raise_if_any()
    return None if written is None else written.asked


def read_network_file(path: Path) -> AskedNetwork:
    """The network of a file with only its fields, as ``nas-attn network`` writes it.

    Raises:
        NetworkError: there is no such file, or it has errors; each is given with its line and field.
    """
    document, problems = read_document(path, NETWORK_FILE)
    written = read_model(document, WrittenDescription, problems)
    problems.raise_if_any()
    if written is None:
        raise AssertionError("a file that cannot be read has a problem")
    return written.asked


@dataclass(frozen=True)
class WrittenSizes:
    """The sizes in a file; None where it leaves them to the device's preset.

    Args:
        base_channels: C at full resolution.
        image_size: side of the images.
        ladder: steps of its rungs, such as ``60,180,540``; None if it has no ladder.
        frames: T of its clips.
    """

    base_channels: int | None
    image_size: int | None
    ladder: str | None = None
    frames: int | None = None


def written_sizes(source: str | Path) -> WrittenSizes:
    """The sizes in a file that ``read_space`` accepts.

    Raises:
        SpaceError: there is no such file, or it is not YAML.
    """
    document, _ = read_document(find_space(source), SPACE_FILE)
    written = document.fields.get("network", document).fields
    sizes = {name: _whole(written.get(name)) for name in ("base_channels", "image_size", "frames")}
    ladder = document.fields.get("ladder")
    steps = ladder.value if ladder is not None and isinstance(ladder.value, tuple) else ()
    return WrittenSizes(**sizes, ladder=",".join(str(step.value) for step in steps) or None)


def _whole(entry: Entry | None) -> int | None:
    value = entry.value if entry is not None else None
    return value if isinstance(value, int) else None
