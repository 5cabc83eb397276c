"""The placements from which a search chooses, as a value."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas_attn.errors import SpaceError
from nas_attn.models.described_network import Network
from nas_attn.models.kind import AttentionKind
from nas_attn.models.placement import AttentionSpec, Location, Placement, Site
from nas_attn.record import Cost
from nas_attn.space.ceiling import Limits
from nas_attn.space.rules import spec_problem
from nas_attn.space.write import space_dict

Choices = tuple[tuple[Location, tuple[AttentionSpec, ...]], ...]
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", re.ASCII)


@dataclass(frozen=True)
class Dropped:
    """A choice of the file that is not used: above the position limit, or without a part of the network."""

    location: Location
    spec: AttentionSpec


@dataclass(frozen=True)
class SearchSpace:
    """A network and the choices at each of its locations. Every combination is a placement.

    Args:
        name: letters, digits, ``_`` and ``-``.
        description: for whom it is, in one line.
        network: around the attention.
        height: H of the images for which the sites are computed, in pixels.
        width: W of these images, in pixels.
        choices: for every location of the network, in order, the attention that may stand there.
        limits: bounds in addition to the choices; the limit of positions has already been applied to ``choices``.
        kinds: every known kind, for helpful error messages.
        dropped: what the position limit removed from the file's choices.
        ladder: steps of short, longer and full trials, ascending, unless the search gives others; empty if all
            trials run in full.
    Raises:
        SpaceError: the parts contradict each other; all problems are reported together.
    """

    name: str
    description: str
    network: Network
    height: int
    width: int
    choices: Choices
    limits: Limits
    kinds: tuple[AttentionKind, ...]
    dropped: tuple[Dropped, ...] = ()
    ladder: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "description", " ".join(self.description.split()))
        if found := self._problems():
            raise SpaceError([f"search space '{self.name}': {problem}" for problem in found])

    @property
    def locations(self) -> tuple[Location, ...]:
        """The locations of the network, in the order of ``choices``."""
        return tuple(location for location, _ in self.choices)

    @property
    def sites(self) -> tuple[Site, ...]:
        """The locations with their sizes, in the order of ``choices``."""
        return self.network.sites(self.height, self.width)

    @property
    def plain(self) -> Placement:
        """The baseline, whether it is in the space or not."""
        return self.network.plain

    @property
    def size(self) -> int:
        """The number of placements, without regard to ceilings."""
        return math.prod(len(specs) for _, specs in self.choices)

    def contains(self, placement: Placement) -> bool:
        """Whether each location has one of its choices, without regard to ceilings."""
        return len(placement.specs) == len(self.choices) and all(
            location == place and spec in self._positions[location]
            for (location, spec), (place, _) in zip(placement.specs, self.choices, strict=True)
        )

    def why_not(self, placement: Placement, cost: Cost | None = None, plain: Cost | None = None) -> str | None:
        """Why a placement may not be tried, in one line with a remedy for every reason; None if it may.

        Args:
            cost: of the placement; without it, ceilings are not checked.
            plain: cost of the baseline; only needed for a relative ceiling.
        Raises:
            UsageError: a relative ceiling has to be checked, and ``plain`` is None.
        """
        reasons = self._structural_reasons(placement) + (self.limits.reasons(cost, plain) if cost else [])
        return "; ".join(reasons) or None

    def placements(self) -> Iterator[Placement]:
        """Every placement once; the last location changes fastest."""
        for specs in itertools.product(*(specs for _, specs in self.choices)):
            yield Placement(tuple(zip(self.locations, specs, strict=True)))

    def sample(self, generator: random.Random) -> Placement:
        """A random placement; all are equally likely."""
        return self.at([generator.randrange(len(specs)) for _, specs in self.choices])

    def at(self, indices: Sequence[int]) -> Placement:
        """The placement with the i-th choice at each location.

        Raises:
            SpaceError: there are too few or too many indices, or one is out of range.
        """
        sizes = [len(specs) for _, specs in self.choices]
        if len(indices) != len(sizes) or not all(0 <= i < size for i, size in zip(indices, sizes, strict=True)):
            raise SpaceError(f"{tuple(indices)} names no placement; each index must be below its size in {sizes}")
        return Placement(tuple((place, specs[i]) for (place, specs), i in zip(self.choices, indices, strict=True)))

    def index_of(self, placement: Placement) -> tuple[int, ...]:
        """The inverse of ``at``.

        Raises:
            SpaceError: the placement is not in the space; the text says why.
        """
        if not self.contains(placement):
            raise SpaceError(f"not in the space '{self.name}': {self.why_not(placement)}")
        return tuple(self._positions[location][spec] for location, spec in placement)

    def to_dict(self) -> dict[str, Any]:
        """The whole space as plain data, the format of ``space_from_dict``."""
        return space_dict(self)

    @cached_property
    def _positions(self) -> dict[Location, dict[AttentionSpec, int]]:
        return {place: {spec: i for i, spec in enumerate(specs)} for place, specs in self.choices}

    @cached_property
    def _kinds(self) -> Mapping[str, AttentionKind]:
        return {kind.name: kind for kind in self.kinds}

    def _structural_reasons(self, placement: Placement) -> list[str]:
        given = dict(placement.specs)
        sites = {site.location: site for site in self.sites}
        reasons = []
        for location, choices in self.choices:
            if location not in given:
                reasons.append(f"{location}: missing, so take {' or '.join(map(str, choices))}")
            elif problem := self._problem(given[location], sites[location], choices):
                reasons.append(f"{location}: {problem}")
        foreign = [location for location in given if location not in sites]
        return reasons + [
            f"{location}: no such location in {self.network.title}, so leave it out" for location in foreign
        ]

    def _problem(self, spec: AttentionSpec, site: Site, choices: Sequence[AttentionSpec]) -> str | None:
        return spec_problem(spec, site, choices, self._kinds, self.limits.max_positions)

    def _problems(self) -> list[str]:
        found = [] if NAME.fullmatch(self.name) else ["the name must be letters, digits, '_' and '-'"]
        if not self.description.isprintable():
            found.append("the description holds characters that cannot be shown")
        if self.locations != self.network.locations:
            return [*found, "choices must name every location of the network once and in order"]
        for site, (location, specs) in zip(self.sites, self.choices, strict=True):
            if not specs or len(set(specs)) < len(specs):
                found.append(f"{location}: choices must be at least one and all different")
            problems = (self._problem(spec, site, specs) for spec in specs)
            found += [f"{location}: {problem}" for problem in problems if problem]
        return found
