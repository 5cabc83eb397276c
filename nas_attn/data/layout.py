"""Where the images and the masks of a folder are, and how their names belong together."""

from __future__ import annotations

from dataclasses import dataclass

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".npy", ".npz")
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
SPLITS = ("train", "val", "test")
FLAT = ""
"""Instead of the name of a split: the files have no splits, or their folders give them."""

Places = tuple[tuple[str, str], ...]
"""(split, folder or glob relative to the folder of the data set) pairs."""

ClassPlaces = tuple[tuple[str, Places], ...]
"""(class, places of its masks) pairs."""


@dataclass(frozen=True)
class Layout:
    """How the files of a folder are arranged.

    Args:
        images: where the images are.
        masks: where the masks are.
        image_suffix: suffix of image names after the part that they share with their masks; files without it are
            left out.
        mask_suffix: likewise for masks; None accepts any of the usual ones.
        clips: whether a folder in a split is a clip; False takes the files of all subfolders as still images; None
            takes a folder as a clip if the split itself has no files.
        merges: whether an image may have several masks, which are merged.
        group: regular expression for the part of a name that gives the group of an image; empty if there are no
            groups.
        of_classes: where the masks of each class are; empty if a mask contains all classes.
    """

    images: Places = ((FLAT, "images"),)
    masks: Places = ((FLAT, "masks"),)
    image_suffix: str = ""
    mask_suffix: str | None = None
    clips: bool | None = None
    merges: bool = False
    group: str = ""
    of_classes: ClassPlaces = ()

    @property
    def mask_places(self) -> ClassPlaces:
        """(class, places of its masks) pairs; the class is empty if a mask contains all classes."""
        return self.of_classes or (("", self.masks),)

    @property
    def is_usual(self) -> bool:
        """Whether the files are in images/ and masks/."""
        return (self.images, self.masks) == (Layout.images, Layout.masks) and not self.of_classes


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern is a glob."""
    return any(letter in pattern for letter in "*?[")
