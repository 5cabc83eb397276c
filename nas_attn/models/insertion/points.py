"""Where in a network a feature can be seen and changed, as text: what a submodule gives back, or is given."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas_attn.errors import NetworkError

_FORM = (
    "write a submodule such as encoder.layer2, one of its arguments, dec1(skip), or channels of one, dec1(0)[0:8]"
)


@dataclass(frozen=True)
class HookPoint:
    """A feature of a network that goes into a submodule or comes out of it.

    Args:
        module: qualified name of the submodule.
        argument: name or position of what it is given; None for what it gives back.
        channels: first and last, exclusively, of those that count; None for all.
    """

    module: str
    argument: str | None = None
    channels: tuple[int, int] | None = None

    _TEXT = re.compile(r"(?P<module>[\w.]+)(?:\((?P<argument>\w+)\))?(?:\[(?P<first>\d+):(?P<last>\d+)\])?")

    @classmethod
    def parse(cls, text: str) -> HookPoint:
        """Read ``encoder.layer2``, ``decoder.blocks.1(skip_connection)`` or ``dec1(0)[0:8]``.

        Raises:
            NetworkError: the text is not of that form.
        """
        match = cls._TEXT.fullmatch(text.strip())
        if match is None:
            raise NetworkError(f"'{text}' names no place of a network; {_FORM}")
        channels = None if match["first"] is None else (int(match["first"]), int(match["last"]))
        if channels is not None and channels[0] >= channels[1]:
            raise NetworkError(f"'{text}' names no channels; the first must be below the last")
        return cls(match["module"], match["argument"], channels)

    def __str__(self) -> str:
        argument = "" if self.argument is None else f"({self.argument})"
        channels = "" if self.channels is None else f"[{self.channels[0]}:{self.channels[1]}]"
        return f"{self.module}{argument}{channels}"
