"""Classes that may overlap: which of them a pixel has, as the bits of one number."""

from __future__ import annotations

MOST_OVERLAPPING = 30
"""Classes that may overlap: so many fit into 31 bits beside the one that stands for 'ignored'."""
MOST_IN_A_BYTE = 7
_IGNORED_BIT = 7


def bit_of(index: int) -> int:
    """The bit that says whether a pixel has a class.

    No class has bit 7, so that 255, which marks ignored pixels, is never a set of classes.

    >>> [bit_of(index) for index in (0, 6, 7)]
    [0, 6, 8]
    """
    return index if index < _IGNORED_BIT else index + 1


def known_bits(classes: int) -> int:
    """All bits that sets of K classes may have.

    >>> bin(known_bits(3))
    '0b111'
    """
    return sum(1 << bit_of(index) for index in range(classes))
