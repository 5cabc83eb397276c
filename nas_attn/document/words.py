"""The values that a type allows, in words: for error messages, help, and the table of settings."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt

from nas_attn.document.entry import shown
from nas_attn.errors import NasAttnError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_NOUNS: dict[object, tuple[str, str]] = {
    bool: ("true or false", "words true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "words"),
}


@dataclass(frozen=True)
class Read:
    """Used in ``Annotated``: how to read a value that the type alone does not check.

    Args:
        read: converts a plain value; raises ValueError or NasAttnError with the problem as text.
        allowed: possible values, in words.
    """

    read: Callable[[Any], object]
    allowed: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A validator that only calls ``read``."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self._checked)

    def _checked(self, value: object) -> object:
        from pydantic_core import PydanticCustomError

        try:
            return self.read(value)
        except (ValueError, NasAttnError) as error:
            raise PydanticCustomError("read", "{problem}", {"problem": str(error)}) from None


def one_of(*words: str) -> Read:
    """Any of these words."""

    def read(value: object) -> object:
        if value not in words:
            raise ValueError(f"{shown(value)} must be {right}")
        return value

    right = " | ".join(words)
    return Read(read, right)


def allowed(hint: object) -> str:
    """The values that a type allows, in words, such as ``a whole number from 1 to 4096, or 'auto'``.

    >>> allowed(Annotated[int, Ge(1), Le(9)] | Literal["auto"] | None)
    "a whole number from 1 to 9, or 'auto'"
    """
    kinds = [kind for kind in members(hint) if kind is not type(None)]
    if len(kinds) > 1:
        return ", or ".join(_one_word(kind) for kind in kinds)
    return _allowed(*split(kinds[0]))


def members(hint: object) -> tuple[Any, ...]:
    """The types of a union, each with its annotations; any other type is the only member."""
    base, beside = split(hint)
    if get_origin(base) not in (Union, types.UnionType) or any(isinstance(one, Read) for one in beside):
        return (hint,)
    return tuple(member for part in get_args(base) for member in members(part))


def split(hint: object) -> tuple[Any, tuple[object, ...]]:
    """A type, and its annotations in ``Annotated``."""
    return (hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (hint, ())  # type: ignore[attr-defined]  # as get_origin says


def is_composite(hint: object) -> bool:
    """Whether values of the type contain other values."""
    base = split(hint)[0]
    return is_dataclass(base) or get_origin(base) in (tuple, dict)


def _one_word(hint: object) -> str:
    words = get_args(hint)
    return f"'{words[0]}'" if get_origin(hint) is Literal and len(words) == 1 else allowed(hint)


def _allowed(base: Any, beside: tuple[object, ...]) -> str:
    if reads := [one for one in beside if isinstance(one, Read)]:
        return reads[0].allowed
    if get_origin(base) is Literal:
        return " | ".join(map(str, get_args(base)))
    if isinstance(base, type) and issubclass(base, Enum):
        return " | ".join(str(word.value) for word in base)
    if is_dataclass(base):
        return f"a mapping of {', '.join(field.name for field in fields(base))}"
    if get_origin(base) is tuple:
        return f"a list of {_NOUNS.get(split(members(get_args(base)[0])[0])[0], ('', 'values'))[1]}"
    noun = _NOUNS.get(base, ("a mapping", ""))[0]
    return f"{noun} {bounds}" if (bounds := _bounds(beside)) else noun


def _bounds(beside: tuple[object, ...]) -> str:
    least = next((one for one in beside if isinstance(one, (Ge, Gt))), None)
    most = next((one for one in beside if isinstance(one, (Le, Lt)) and one != Lt(math.inf)), None)
    low = "" if least is None else f"of at least {least.ge}" if isinstance(least, Ge) else f"above {least.gt}"
    high = "" if most is None else f"at most {most.le}" if isinstance(most, Le) else f"below {most.lt}"
    if isinstance(least, Ge) and high:
        return f"from {least.ge} to {high.removeprefix('at most ')}"
    return " and ".join(filter(None, (low, high)))
