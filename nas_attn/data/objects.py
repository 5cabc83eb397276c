"""Mask values that number objects rather than classes, as label images of cell segmentation have them."""

from __future__ import annotations

from collections.abc import Sequence

from nas_attn.data.examine import Examined

_LEAST_IMAGES = 4
_LEAST_OBJECTS = 6
_LEAST_COUNTS = 3
_MANY = 32
_RARE = 0.25


def look_like_objects(training: Sequence[Examined], ignored: int | None) -> bool:
    """Whether the values look like numbers of objects.

    Objects are numbered from 1 in each image, so that an image holds 1 to as many as it has, and images differ in
    how many these are; classes have gaps. Or there are very many values, most of them in few images.

    Args:
        training: the training images.
        ignored: value of ignored pixels; None for none.
    """
    held = [{value for value, _ in each.counts} - {0, ignored} for each in training]
    values = set().union(*held)
    if len(held) < _LEAST_IMAGES or len(values) < _LEAST_OBJECTS:
        return False
    counted = {len(of_image) for of_image in held if of_image}
    numbered = all(of_image == set(range(1, len(of_image) + 1)) for of_image in held)
    if numbered and len(counted) >= _LEAST_COUNTS:
        return True
    rare = sum(sum(value in of_image for of_image in held) <= max(1, _RARE * len(held)) for value in values)
    return len(values) >= _MANY and rare > len(values) / 2
