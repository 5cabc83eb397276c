"""Convert the ``dataset.json`` of a folder in nnU-Net's raw layout to fields of ``dataset.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_attn.data.reach import is_folder

_FIRST_CHANNEL = "_0000"


def declared_by_nnunet(folder: Path, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """The fields that read the folder; None if it has not this layout.

    Labels that are numbers are classes, and ``ignore`` is the ignored label. Regions, which are lists of labels,
    are not classes of a pixel. For each image, the first channel's file is read, which contains all channels of
    PNG and TIFF.

    Args:
        folder: with imagesTr/ and labelsTr/.
        values: of its dataset.json.
    """
    labels = values.get("labels")
    if not isinstance(labels, dict) or not all(is_folder(folder / part) for part in ("imagesTr", "labelsTr")):
        return None
    numbers = {str(name): number for name, number in labels.items() if _is_label(number)}
    ignored = numbers.pop("ignore", None)
    fields: dict[str, Any] = {
        "images": "imagesTr",
        "masks": "labelsTr",
        "image_suffix": _FIRST_CHANNEL,
        "mask_values": {str(number): name for name, number in numbers.items()},
    }
    if all(is_folder(folder / part) for part in ("imagesTs", "labelsTs")):
        fields |= {"images": {"train": "imagesTr", "test": "imagesTs"}}
        fields |= {"masks": {"train": "labelsTr", "test": "labelsTs"}}
    if ignored is not None:
        fields["ignore_index"] = ignored
    if isinstance(values.get("name"), str):
        fields["name"] = values["name"]
    return fields


def _is_label(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
