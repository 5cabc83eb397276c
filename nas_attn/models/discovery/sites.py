"""The locations of any network that reduces the resolution and restores it, read from the tape of a forward pass.

A feature goes down as long as nothing deeper went into it. Where it leaves a resolution downwards, it is
``encoder.N``, with N the binary logarithm of its stride; the deepest is the ``bottleneck``. Where a feature that
goes down meets a deeper one, in the arguments of a submodule or in a concatenation, it is ``skip.N``, and the
deeper one is its gating signal. Where a feature that comes up leaves a resolution, or enters the head, it is
``decoder.N``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from nas_attn.models.described_network import FoundSite
from nas_attn.models.discovery.tape import Call, Feature, Operation, Tape
from nas_attn.models.placement import Location, Stage


@dataclass(frozen=True)
class Findings:
    """The locations of a network, and where one is expected but missing.

    Args:
        sites: in the order of their locations.
        unclear: place and reason, in words.
    """

    sites: tuple[FoundSite, ...]
    unclear: tuple[str, ...]


@dataclass(frozen=True)
class _Meeting:
    """A call in which a feature that goes down meets one that comes up.

    Args:
        call: of the submodule that takes both.
        skip: position of the former among its arguments, such as ``(skip)`` or ``(0)[0:8]``.
        gate: position of the latter.
        of: the former, and the latter.
    """

    call: Call
    skip: str
    gate: str
    of: tuple[Feature, Feature]


def find_sites(tape: Tape) -> Findings:
    """All locations that a tape shows."""
    finder = _Finder(tape)
    sites = [*finder.descents(), *finder.skips(), *finder.ascents()]
    finder.miss_skips({site.location for site in sites})
    return Findings(tuple(sorted(sites, key=lambda site: site.location)), tuple(finder.unclear))


class _Finder:
    """Finds the locations of one tape.

    Args:
        tape: of a forward pass.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._times = Counter(call.name for call in tape.calls)
        self.unclear: list[str] = []
        depths = [feature.stride for call in tape.calls if (feature := tape.feature(call.output))]
        self._deepest = max(depths, default=1)

    def descents(self) -> Iterator[FoundSite]:
        """The features that leave a resolution downwards, and the deepest feature."""
        told = set()
        for operation in self._events():
            after = self._tape.feature(operation.output)
            if after is None or not after.goes_down:
                continue
            for tensor in operation.inputs:
                before = self._tape.feature(tensor)
                if before is None or tensor is self._tape.image or before.stride >= after.stride:
                    continue
                left, when = self._left(tensor, operation, before, after)
                feature = self._tape.feature(left)
                if feature is None or left is self._tape.image or feature.stride in told or not feature.goes_down:
                    continue
                told.add(feature.stride)
                yield from self._at_output(Location(Stage.ENCODER, _level(feature.stride)), left, when)

    def ascents(self) -> Iterator[FoundSite]:
        """The features that leave a resolution upwards: the bottleneck, the decoder's, and the last one before the
        head."""
        left_at: dict[int, tuple[Tensor, int]] = {}
        for operation in self._events():
            after = self._tape.feature(operation.output)
            if after is None or after.deepest < self._deepest:
                continue
            for tensor in operation.inputs:
                before = self._tape.feature(tensor)
                if before is None or before.deepest < self._deepest or before.stride <= after.stride:
                    continue
                left_at.setdefault(before.stride, self._left(tensor, operation, before, after))
        head = self._before_head()
        if head is not None and (feature := self._tape.feature(head[0])) and feature.stride < self._deepest:
            left_at[feature.stride] = head
        for stride, (left, when) in left_at.items():
            tensor = self._deeper_part(left)
            deepest = stride == self._deepest
            location = Location(Stage.BOTTLENECK) if deepest else Location(Stage.DECODER, _level(stride))
            yield from self._at_output(location, tensor, when, gated=not deepest)

    def skips(self) -> Iterator[FoundSite]:
        """The features that go down and meet deeper ones."""
        meetings: dict[int, list[_Meeting]] = defaultdict(list)
        for meeting in self._meetings():
            before = meetings[meeting.of[0].stride]
            if not any(other.call in (meeting.call, *meeting.call.callers) for other in before):
                before.append(meeting)
        for stride, found in sorted(meetings.items()):
            location = Location(Stage.SKIP, _level(stride))
            if len(found) > 1:
                places = ", ".join(meeting.call.name for meeting in found[:3])
                self._doubt(location, f"the encoder's feature goes to {len(found)} places ({places} ...)")
            elif self._is_called_once(location, found[0].call):
                (meeting,) = found
                skip, gate = meeting.of
                name = meeting.call.name
                yield FoundSite(
                    location, f"{name}{meeting.skip}", skip.channels, stride,
                    f"{name}{meeting.gate}", gate.channels, gate.stride,
                )  # fmt: skip

    def miss_skips(self, found: set[Location]) -> None:
        """Report each resolution that has an encoder and a decoder location, but no skip."""
        for location in sorted(found):
            skip = Location(Stage.SKIP, location.level)
            both = location.stage is Stage.ENCODER and Location(Stage.DECODER, location.level) in found
            if both and skip not in found and not any(line.startswith(f"{skip}:") for line in self.unclear):
                self._doubt(skip, "the encoder's feature meets no deeper one in a submodule's arguments")

    def _meetings(self) -> Iterator[_Meeting]:
        for call in self._tape.calls:
            if not call.name:
                continue
            given = {name: tensor for name, tensor in call.given.items() if self._tape.feature(tensor)}
            yield from self._met(call, {f"({name})": tensor for name, tensor in given.items()})
            for name, tensor in given.items():
                yield from self._met(call, dict(_parts(name, self._tape.parts(tensor))))

    def _met(self, call: Call, parts: dict[str, Tensor]) -> Iterator[_Meeting]:
        """The meeting in the arguments of a submodule; None if all of them go down, or all come up."""
        features = {name: feature for name, tensor in parts.items() if (feature := self._tape.feature(tensor))}
        down = {name: one for name, one in features.items() if one.goes_down and one.stride < self._deepest}
        for name, skip in down.items():
            if parts[name] is self._tape.image:
                continue
            deeper = {other: one for other, one in features.items() if one.deepest > skip.stride}
            if deeper:
                gate = next(iter(deeper))
                yield _Meeting(call, name, gate, (skip, deeper[gate]))

    def _events(self) -> list[Operation]:
        """Operations and calls of submodules, in order. Where an operation takes a padded map, which is no
        feature, only the call tells from what it was made."""
        calls = [
            Operation(call.begin, call.callers, tuple(call.given.values()), call.output)
            for call in self._tape.calls
            if call.name and call.output is not None
        ]
        return sorted([*self._tape.operations, *calls], key=lambda one: one.at)

    def _left(self, tensor: Tensor, operation: Operation, before: Feature, after: Feature) -> tuple[Tensor, int]:
        """The feature that leaves a resolution in an operation, and when. It is the input of the outermost
        submodule that turns the one resolution into the other, or else the input of the operation."""
        for call in operation.callers:
            output = self._tape.feature(call.output)
            if not call.name or output is None or output.stride != after.stride:
                continue
            for given in call.given.values():
                feature = self._tape.feature(given)
                if feature is not None and (feature.stride, feature.deepest) == (before.stride, before.deepest):
                    return given, call.begin
        return tensor, operation.at

    def _deeper_part(self, tensor: Tensor) -> Tensor:
        """The part that came up, in a concatenation with a skip; any other feature unchanged."""
        parts = self._tape.parts(tensor)
        deeper = [part for part in parts if (one := self._tape.feature(part)) and not one.goes_down]
        return deeper[0] if len(deeper) == 1 and len(parts) > 1 else tensor

    def _before_head(self) -> tuple[Tensor, int] | None:
        """The input of the last submodule: the outermost one that ends with the output of the network."""
        last = [call for call in self._tape.calls if call.name and call.output is not None]
        outputs = [call for call in last if call.output is self._tape.output]
        for call in outputs or [call for call in last if call.callers[1:] == ()][-1:]:
            for given in call.given.values():
                feature = self._tape.feature(given)
                if feature is not None and feature.deepest == self._deepest:
                    return given, call.begin
        return None

    def _at_output(
        self, location: Location, tensor: Tensor, before: int, *, gated: bool = False
    ) -> Iterator[FoundSite]:
        """The site at the output of the last submodule that returns a feature before it is used."""
        feature = self._tape.feature(tensor)
        touched = self._tape.last_given(tensor, before)
        makers = [call for call in self._tape.calls if call.output is tensor and call.name and call.end < before]
        makers = [call for call in makers if call.end > touched]
        if feature is None or not makers:
            self._doubt(location, "what comes out there is the output of no submodule")
            return
        maker, gate = max(makers, key=lambda call: call.end), None
        if gated:
            found = [(call, gate) for call in makers if (gate := self._gate_of(call, feature)) is not None]
            maker, gate = found[0] if found else (maker, None)
        if self._is_called_once(location, maker):
            signal = (f"{maker.name}{gate[0]}", gate[1].channels, gate[1].stride) if gate else ("", 0, 0)
            yield FoundSite(location, maker.name, feature.channels, feature.stride, *signal)

    def _gate_of(self, call: Call, output: Feature) -> tuple[str, Feature] | None:
        """The deeper feature among a block's arguments, and its position."""
        for name, tensor in call.given.items():
            feature = self._tape.feature(tensor)
            if feature is None or feature.deepest <= output.stride:
                continue
            for part, of in _parts(name, self._tape.parts(tensor)):
                deeper = self._tape.feature(of)
                if deeper is not None and deeper.deepest > output.stride:
                    return part, deeper
            if feature.stride > output.stride:
                return f"({name})", feature
        return None

    def _is_called_once(self, location: Location, call: Call) -> bool:
        times = self._times[call.name]
        if times > 1:
            self._doubt(location, f"{call.name} is called {times} times in one pass")
        return times == 1

    def _doubt(self, location: Location, reason: str) -> None:
        self.unclear.append(f"{location}: {reason}")


def _parts(name: str, joined: tuple[Tensor, ...]) -> Iterator[tuple[str, Tensor]]:
    """The channels of an argument made by a concatenation, each with its original feature."""
    first = 0
    for part in joined:
        last = first + int(part.shape[1])
        yield f"({name})[{first}:{last}]", part
        first = last


def _level(stride: int) -> int:
    return stride.bit_length() - 1
