"""Points of a network at which a module can be inserted, as text: after a feature that a submodule returns or
takes, in place of a submodule, or around it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from nas_attn.errors import NetworkError

_FORM = (
    "write a submodule such as encoder.layer2, one of its arguments, dec1(skip), or channels of one, dec1(0)[0:8]"
)


class Way(StrEnum):
    """How a module is inserted into a network."""

    BEHIND = ""
    INSTEAD = "instead of"
    AROUND = "around"


@dataclass(frozen=True)
class HookPoint:
    """An input or output of a submodule, or a submodule as a whole.

    Args:
        module: qualified name of the submodule.
        argument: name or position of the input; None for the output.
        channels: first channel and the one after the last; None for all.
        way: whether a module refines the feature, replaces the submodule or wraps it.
    """

    module: str
    argument: str | None = None
    channels: tuple[int, int] | None = None
    way: Way = Way.BEHIND

    _WHOLE = re.compile(rf"(?P<way>{Way.INSTEAD}|{Way.AROUND}) (?P<module>[\w.]+)")
    _TEXT = re.compile(r"(?P<module>[\w.]+)(?:\((?P<argument>\w+)\))?(?:\[(?P<first>\d+):(?P<last>\d+)\])?")

    @classmethod
    def parse(cls, text: str) -> HookPoint:
        """Read ``encoder.layer2``, ``decoder.blocks.1(skip_connection)``, ``dec1(0)[0:8]`` or, for a whole
        submodule, ``instead of dec1.conv2`` or ``around dec1``.

        Raises:
            NetworkError: the text has not this form.
        """
        if whole := cls._WHOLE.fullmatch(text.strip()):
            return cls(whole["module"], way=Way(whole["way"]))
        match = cls._TEXT.fullmatch(text.strip())
        if match is None:
            raise NetworkError(f"'{text}' is not a place in a network; {_FORM}")
        channels = None if match["first"] is None else (int(match["first"]), int(match["last"]))
        if channels is not None and channels[0] >= channels[1]:
            raise NetworkError(f"'{text}' selects no channels; the first must be below the last")
        return cls(match["module"], match["argument"], channels)

    def __str__(self) -> str:
        if self.way is not Way.BEHIND:
            return f"{self.way} {self.module}"
        argument = "" if self.argument is None else f"({self.argument})"
        channels = "" if self.channels is None else f"[{self.channels[0]}:{self.channels[1]}]"
        return f"{self.module}{argument}{channels}"
