"""Flags for settings of a search, made from the table of settings."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from nas_attn.config.described import Described, described_settings
from nas_attn.config.settings import ACCELERATORS
from nas_attn.errors import UsageError

JOINING = {
    "storage": "SQLite in the study's folder",
    "data": "where they were when the study began",
    "cost": "the study's",
}
"""Defaults of the verbs that join an existing study."""
_ALIASES = {"device": "--devices"}
_METAVARS = {"storage": "URL", "data": "FOLDER"}


def add_settings(
    parser: argparse._ActionsContainer,
    names: Sequence[str],
    *,
    required: Sequence[str] = (),
    defaults: Mapping[str, str] = MappingProxyType({}),
    words: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add flags for settings.

    Args:
        parser: or a group of it.
        names: of settings.
        required: those of them that must be given.
        defaults: what happens without a flag, instead of what the table says.
        words: possible values, instead of what the table says.
    """
    for name in names:
        known = described_settings()[name]
        one = replace(known, allowed=words.get(name, known.allowed), default=defaults.get(name, known.default))
        flags = [one.flag, *([_ALIASES[name]] if name in _ALIASES else [])]
        if one.is_switch:
            about = f"{one.about} [{'yes' if one.default == 'true' else 'no'}]".replace("%", "%%")
            parser.add_argument(*flags, action=argparse.BooleanOptionalAction, default=None, help=about)
            continue
        text = one.sentence if name in required else f"{one.sentence} [{one.default}]"
        parser.add_argument(
            *flags,
            metavar="N" if one.is_number else _METAVARS.get(name, name.upper()),
            help=text.replace("%", "%%"),
            required=name in required,
        )


def add_accelerator(parser: argparse.ArgumentParser) -> None:
    """Add the flag for the device of a full training and its predictions."""
    parser.add_argument("--accelerator", choices=ACCELERATORS, default="auto", help="where to run [auto]")


def given_settings(arguments: argparse.Namespace, names: Sequence[str], *problems: str) -> dict[str, object]:
    """The settings that were given as flags.

    Args:
        arguments: of the command.
        names: of the settings for which it has flags.
        problems: other problems of the command, to be reported together with those of the settings.
    Raises:
        UsageError: there are problems; each is reported with its flag.
    """
    from nas_attn.study.setup.request import request_problems

    given = flag_values(arguments, names)
    found = [f"{described_settings()[name].flag}: {problem}" for name, problem in request_problems(given)]
    if found := [*found, *problems]:
        raise UsageError(found)
    return given


def flag_values(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, object]:
    """The settings that were given as flags, with numbers read from their texts, but not checked."""
    texts = {name: text for name in names if (text := getattr(arguments, name)) is not None}
    return {name: _value(described_settings()[name], text) for name, text in texts.items()}


def _value(setting: Described, text: str | bool) -> object:
    """A flag's text, read as a number if its setting takes numbers."""
    if isinstance(text, bool):
        return text
    for number in (int, float) if setting.is_number else ():
        try:
            return number(text)
        except ValueError:
            continue
    return text
