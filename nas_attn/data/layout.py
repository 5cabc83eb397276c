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
"""In place of the name of a split: the files are not put into splits, or their folders say."""

Places = tuple[tuple[str, str], ...]
"""(split, folder or glob from the folder of the data set) pairs."""

ClassPlaces = tuple[tuple[str, Places], ...]
"""(class, where its masks are) pairs."""


@dataclass(frozen=True)
class Layout:
    """How files lie.

    Args:
        images: where the images are.
        masks: where the masks are.
        image_suffix: what the names of images have behind what they share with their masks; files without it are
            left out.
        mask_suffix: likewise of masks; None takes any of the usual ones.
        clips: whether a folder of a split is a clip; False takes the files of all folders below as stills, None
            takes a folder for a clip where a split has no file of its own.
        merges: whether an image may have several masks, which become one.
        group: regular expression of what in a name says which images belong together; empty where each is alone.
        of_classes: where each class has masks of its own; empty where a mask holds all classes.
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
        """(class, where its masks are) pairs; the class is empty where a mask holds all."""
        return self.of_classes or (("", self.masks),)

    @property
    def is_usual(self) -> bool:
        """Whether images/ and masks/ hold them."""
        return (self.images, self.masks) == (Layout.images, Layout.masks) and not self.of_classes


def has_wildcard(pattern: str) -> bool:
    """Whether it is a glob."""
    return any(letter in pattern for letter in "*?[")
