"""Parse a file into plain values with their lines; harmful text is refused."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import TypeGuard

import yaml
from yaml.constructor import SafeConstructor

from nas_attn.document.entry import Entry, FileKind, Problems, Scalar, join, shown

MAX_DEPTH = 10
MAX_NUMBER = 10**15
MAX_DIGITS = 40


def read_document(path: Path, kind: FileKind) -> tuple[Entry, Problems]:
    """Read the document of a file, and collect the problems of its values.

    Raises:
        NasAttnError: see ``read_text`` and ``parse_document``.
    """
    problems = Problems(shown_path(path), kind)
    return parse_document(read_text(path, kind), problems), problems


def read_text(path: Path, kind: FileKind, where: str | None = None) -> str:
    """Read a whole file as text, without a byte order mark.

    Args:
        path: of the file.
        kind: of the file.
        where: its name in error messages; the default is its path.
    Raises:
        NasAttnError: of the kind's type; the file is missing, not a regular file, too large, or not UTF-8.
    """
    where = where or shown_path(path)
    try:
        if path.is_dir():
            raise kind.error(f"{where}: this is a folder; name {kind.example}")
        if not path.exists():
            raise kind.error(f"{where}: no such file{kind.missing.format(path=where)}")
        if not path.is_file():
            raise kind.error(f"{where}: this is not a regular file; name {kind.example}")
        with path.open("rb") as file:
            content = file.read(kind.most_bytes + 1)
        if len(content) > kind.most_bytes:
            raise kind.error(f"{where}: larger than {kind.most_bytes // 1024} KiB; {kind.noun} takes a few")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise kind.error(f"{where}: line {line}: not UTF-8 text; save the file as UTF-8") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise kind.error(f"{where}: cannot be read: {reason}") from None


def shown_path(path: Path) -> str:
    """The path for messages: relative if it is in the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def parse_document(text: str, problems: Problems) -> Entry:
    """Parse a document into values with their lines. Values that cannot be used become problems.

    Raises:
        NasAttnError: of the kind's type; the text is not a YAML document, or uses aliases, anchors, tags or deep
            nesting.
    """
    where, kind = problems.where, problems.kind
    loader = yaml.SafeLoader if kind.is_typed else yaml.BaseLoader
    try:
        _refuse_harm(text, problems)
        root = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        raise kind.error(f"{where}: {_yaml_problem(error, text)}") from None
    except (ValueError, OverflowError) as error:  # PyYAML lets these out, such as for the escape "\UFFFFFFFF"
        raise kind.error(f"{where}: not valid YAML: {error}") from None
    if root is None:
        raise kind.error(f"{where}: the file is empty; {kind.noun} starts with '{kind.starts}'")
    return _entry(root, "", problems)


def _refuse_harm(text: str, problems: Problems) -> None:
    depth, kind = 0, problems.kind
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        place = f"{problems.where}: line {event.start_mark.line + 1 if event.start_mark else 1}"
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if number > kind.most_values:
            raise kind.error(f"{place}: more than {kind.most_values} values; {kind.noun} has fewer")
        if depth > MAX_DEPTH:
            raise kind.error(f"{place}: nested deeper than {MAX_DEPTH} levels; {kind.noun} needs 4")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise kind.error(
                f"{place}: anchors and aliases (&{event.anchor[:40]}) are not read; write the value out"
            )
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            raise kind.error(f"{place}: tags ({shown(event.tag)}) are not read; write the plain value")


def _yaml_problem(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and (mark := error.problem_mark or error.context_mark):
        what = " ".join(", ".join(filter(None, (error.context, error.problem))).split())
        tab = "; indent with spaces, not tabs" if "'\\t'" in what else ""
        return f"line {mark.line + 1}, column {mark.column + 1}: not valid YAML: {what}{tab}"
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        column = len(before) - before.rfind("\n")
        return f"line {before.count(chr(10)) + 1}, column {column}: not text: character {shown(error.character)}"
    return f"not valid YAML: {' '.join(str(error).split())}"


def _entry(node: yaml.Node, path: str, problems: Problems) -> Entry:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        return Entry(path, line, _fields(node, path, problems))
    if isinstance(node, yaml.SequenceNode):
        return Entry(path, line, tuple(_entry(item, path, problems) for item in node.value))
    value, problem = _scalar(node) if problems.kind.is_typed else (node.value, None)
    if problem:
        problems.add(Entry(path, line, value), problem)
    return Entry(path, line, value, is_broken=problem is not None)


def _fields(node: yaml.MappingNode, path: str, problems: Problems) -> dict[str, Entry]:
    fields: dict[str, Entry] = {}
    for key, child in _named(node, path, problems):
        name = key.value
        if name in fields:
            first = fields[name].line
            problems.add_at(key.start_mark.line + 1, f"{join(path, name)}: written twice, first at line {first}")
            continue
        fields[name] = _entry(child, join(path, name), problems)
    return fields


def _named(node: yaml.MappingNode, path: str, problems: Problems) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    for key, child in node.value:
        if _is_text(key, problems.kind.is_typed):
            yield key, child
        else:
            found = shown(key.value) if isinstance(key, yaml.ScalarNode) else "a list or a mapping"
            where = f"{path}: " if path else ""
            problems.add_at(key.start_mark.line + 1, f"{where}a field's name must be a word, not {found}")


def _is_text(key: yaml.Node, is_typed: bool) -> TypeGuard[yaml.ScalarNode]:
    return isinstance(key, yaml.ScalarNode) and (key.tag == "tag:yaml.org,2002:str" or not is_typed)


def _scalar(node: yaml.Node) -> tuple[Scalar, str | None]:
    """The value, and what is wrong with it; it is None then."""
    kind = node.tag.rpartition(":")[2]
    if kind not in ("null", "bool", "int", "float", "str"):
        return None, f"{shown(node.value)} is read as a {kind}; put it in quotes"
    if kind in ("int", "float") and len(node.value) > MAX_DIGITS:
        return None, f"{shown(node.value)} is too long a number"
    try:
        value: Scalar = SafeConstructor().construct_object(node)
    except (ValueError, OverflowError):
        return None, f"{shown(node.value)} cannot be read as a number"
    if isinstance(value, float) and not isfinite(value):
        return None, f"{value} is not a finite number"
    if isinstance(value, (int, float)) and abs(value) > MAX_NUMBER:
        return None, f"{shown(node.value)} is too large a number"
    if isinstance(value, str) and not all(letter.isprintable() or letter in "\n\t" for letter in value):
        return None, f"{shown(value)} holds characters that cannot be shown"
    return value, None
