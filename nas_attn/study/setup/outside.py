"""Where a study's attentions, strategy and data reader come from, if they are not nas-attn's own."""

from __future__ import annotations

from collections.abc import Iterator

from nas_attn.data.readers import READERS, asked_reader
from nas_attn.models.catalogue import KINDS
from nas_attn.space import SearchSpace
from nas_attn.strategy import STRATEGIES

Outside = tuple[tuple[str, str], ...]
"""(what, ``module:name``) pairs; two studies are the same only where these are."""


def outside_of(space: SearchSpace, strategy: str, data: str) -> Outside:
    """What of a study is a user's own."""
    return tuple(sorted(_found(space, strategy, data)))


def _found(space: SearchSpace, strategy: str, data: str) -> Iterator[tuple[str, str]]:
    for kind in {spec.kind for _, specs in space.choices for spec in specs}:
        if origin := KINDS.origin(kind):
            yield f"attention {kind}", origin.reference
    if origin := STRATEGIES.origin(strategy):
        yield f"strategy {strategy}", origin.reference
    asked = asked_reader(data)
    if asked and (origin := READERS.origin(asked.reader)):
        yield f"data reader {asked.reader}", origin.reference
