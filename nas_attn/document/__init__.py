"""Files that people write: read YAML into dataclasses, and report all problems at once with their lines."""

from nas_attn.document.entry import Entry, FileKind, Problems, shown
from nas_attn.document.model import field_problems, hints_of, known_version, problem_of, read_model, read_sound
from nas_attn.document.parse import parse_document, read_document, read_text, shown_path
from nas_attn.document.words import Read, allowed, one_of

__all__ = [
    "Entry",
    "FileKind",
    "Problems",
    "Read",
    "allowed",
    "field_problems",
    "hints_of",
    "known_version",
    "one_of",
    "parse_document",
    "problem_of",
    "read_document",
    "read_model",
    "read_sound",
    "read_text",
    "shown",
    "shown_path",
]
