"""Commands that messages name: they exist, with these flags, and are spelled in one place."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import nas_attn
from nas_attn.cli.main import VERBS, parser_of
from nas_attn.commands import command

SOURCES = sorted(Path(nas_attn.__file__).parent.rglob("*.py"))
HELP = {"help", "h"}


def called_commands() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Place, verb and flags of every call of ``command``."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "command":
                flags = frozenset(keyword.arg for keyword in node.keywords if keyword.arg is not None)
                for verb in node.args[:1]:
                    if isinstance(verb, ast.Constant):
                        yield f"{path.name}:{node.lineno}", str(verb.value), flags


CALLED = list(called_commands())


def flags_of(verb: str) -> set[str]:
    """Of a verb's parser, as keywords of ``command``."""
    return {
        text.lstrip("-").replace("-", "_") for action in parser_of(verb)._actions for text in action.option_strings
    }


@pytest.mark.parametrize(("verb", "flags"), [one[1:] for one in CALLED], ids=[one[0] for one in CALLED])
def test_a_command_that_a_message_names_exists_with_its_flags(verb: str, flags: frozenset[str]) -> None:
    assert verb in VERBS
    assert flags <= flags_of(verb) | HELP


def test_no_other_text_spells_a_command() -> None:
    """Docstrings may: they are read with the code, and nobody copies a command from them."""
    spelled = re.compile(rf"nas-attn ({'|'.join(VERBS)})\b")
    found = [
        f"{path.name}:{node.lineno}: {node.value}"
        for path in SOURCES
        for node in texts(ast.parse(path.read_text(encoding="utf-8")))
        if spelled.search(str(node.value))
    ]
    assert found == []


def texts(tree: ast.Module) -> Iterator[ast.Constant]:
    """Strings of a module that are no statement of their own."""
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node


def test_what_a_shell_would_split_is_quoted_and_flags_without_a_value_stand_alone() -> None:
    text = command(
        "export", "my study", Path("a b"), pick="id:3f", o="best.yaml", ablate=True, storage=None, csv=False
    )
    assert shlex.split(text) == [
        "nas-attn",
        "export",
        "my study",
        "a b",
        "--pick",
        "id:3f",
        "-o",
        "best.yaml",
        "--ablate",
    ]
