"""Which network of somebody else's a search space file asks for."""

from __future__ import annotations

from pathlib import Path

from nas_attn.document import FileKind, Problems, parse_document, read_model, read_text, shown_path
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
    """The network of a space file that ``read_space`` accepts, as it was asked for; None where it is nas-attn's
    own.

    Raises:
        SpaceError: no such file, or its network is wrong.
    """
    path = find_space(source)
    problems = Problems(shown_path(path), SPACE_FILE)
    document = parse_document(read_text(path, SPACE_FILE), problems)
    if not is_other(document):
        return None
    written = read_model(document.fields["network"], WrittenOtherNetwork, problems)
    problems.raise_if_any()
    return None if written is None else written.asked


def read_network_file(path: Path) -> AskedNetwork:
    """The network of a file that holds its fields alone, as ``nas-attn network`` writes it.

    Raises:
        NetworkError: no such file, or it is wrong; every problem with its line and field.
    """
    problems = Problems(shown_path(path), NETWORK_FILE)
    document = parse_document(read_text(path, NETWORK_FILE), problems)
    written = read_model(document, WrittenDescription, problems)
    problems.raise_if_any()
    if written is None:
        raise AssertionError("a file that cannot be read has a problem")
    return written.asked
