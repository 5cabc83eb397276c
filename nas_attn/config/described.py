"""The table of settings in words: for the help of flags, the Python docs and the docs pages."""

from __future__ import annotations

import functools
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from nas_attn.config.settings import GROUPS, Setting, StudyRequest
from nas_attn.document.model import hints_of
from nas_attn.document.words import allowed, members, split

F = TypeVar("F", bound=Callable[..., object])
_WIDTH = 115


@dataclass(frozen=True)
class Described:
    """A setting in words.

    Args:
        name: of the field and of the argument.
        group: its heading.
        about: what it is.
        allowed: possible values.
        default: what applies if it is not given.
        is_number: whether a text that looks like a number is one.
        is_switch: whether it is on or off, so that a flag with the prefix ``--no-`` turns it off.
    """

    name: str
    group: str
    about: str
    allowed: str
    default: str
    is_number: bool
    is_switch: bool = False

    @property
    def flag(self) -> str:
        """``--max-macs``."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def sentence(self) -> str:
        """What it is and its possible values; only what it is if any text is possible."""
        return self.about if self.allowed == "text" else f"{self.about}: {self.allowed}"


@functools.cache
def described_settings() -> Mapping[str, Described]:
    """Every setting by its name, group by group."""
    found = []
    for field in fields(StudyRequest):
        hint = hints_of(StudyRequest)[field.name]
        setting: Setting = field.metadata["setting"]
        default = setting.otherwise if field.default is None else str(field.default)
        default = {"True": "true", "False": "false"}.get(default, default)
        is_number = any(split(kind)[0] in (int, float) for kind in members(hint))
        kind = is_number, hint is bool
        found.append(Described(field.name, setting.group, setting.about, allowed(hint), default, *kind))
    return {one.name: one for one in sorted(found, key=lambda one: GROUPS.index(one.group))}


def settings_table() -> str:
    """The table of ``docs/settings.md``."""
    rows = [
        " | ".join((f"| `{one.flag}`", one.allowed.replace("|", "/"), one.default, f"{_coded(one.about)} |"))
        for one in described_settings().values()
    ]
    return "\n".join(["| flag | values | default | what |", "| --- | --- | --- | --- |", *rows])


def _coded(about: str) -> str:
    return re.sub(r"('?)(--[a-z]+|nas-attn \w+)\1", r"`\2`", about)


def with_settings(function: F) -> F:
    """Replace ``{settings}`` in a function's docstring by descriptions of its settings."""
    entries = [
        textwrap.fill(
            f"{one.name}: {one.sentence}; {one.default} where left out.",
            _WIDTH,
            initial_indent=" " * 8,
            subsequent_indent=" " * 12,
            break_on_hyphens=False,
        )
        for one in described_settings().values()
    ]
    function.__doc__ = (function.__doc__ or "").replace("        {settings}", "\n".join(entries))
    return function
