"""The choices in a search space file: kinds, their options, stages and single locations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas_attn.document import Entry, Problems
from nas_attn.errors import RegistryError, SpaceError, did_you_mean
from nas_attn.models.kind import START, AttentionKind
from nas_attn.models.placement import NONE, AttentionSpec, Location, OptionValue, Stage
from nas_attn.space.rules import canonical_spec, stage_problem

Kinds = Mapping[str, AttentionKind]
Options = dict[str, OptionValue]
MAX_NAME_LENGTH = 40


@dataclass(frozen=True)
class LocationChoices:
    """The choices of a stage or of a location, and where the file gives them."""

    entry: Entry
    specs: tuple[AttentionSpec, ...]


@dataclass(frozen=True)
class WrittenChoices:
    """All choices of a file, by the name of a stage or of a location."""

    document: Entry
    by_name: Mapping[str, LocationChoices]

    def at(self, location: Location) -> LocationChoices:
        """A location's own choices; otherwise those of its stage; otherwise ``none`` alone."""
        nothing = LocationChoices(self.document, (NONE,))
        return self.by_name.get(str(location)) or self.by_name.get(str(location.stage)) or nothing


class OptionsOfKinds(dict[str, Options]):
    """Options by kind. A kind without options in the file only has ``start``, if it takes that.

    Args:
        start: of every kind.
        kinds: by their names.
    """

    def __init__(self, start: str, kinds: Kinds) -> None:
        super().__init__()
        self._start = start
        self._kinds = kinds

    def __missing__(self, name: str) -> Options:
        self[name] = {START.name: self._start} if START in self._kinds[name].all_options else {}
        return self[name]


def read_options(entry: Entry | None, start: str, kinds: Kinds, problems: Problems) -> dict[str, Options]:
    """Options of every kind at all locations: ``start``, then those in the file."""
    options = OptionsOfKinds(start, kinds)
    if entry is None:
        return options
    if not isinstance(entry.value, dict):
        problems.add(entry, f"must be a mapping such as {{se: {{reduction: 8}}}}, not {entry.shown}")
        return options
    for name, given in entry.value.items():
        if name not in kinds:
            problems.add(given, f"unknown attention; {did_you_mean(name, kinds)}")
        elif not isinstance(given.value, dict):
            problems.add(given, f"must be a mapping of options such as {{reduction: 8}}, not {given.shown}")
        else:
            options[name] |= _options(given.value, kinds[name], problems)
    return options


def read_choices(
    entry: Entry | None, depth: int | None, options: Mapping[str, Options], kinds: Kinds, problems: Problems
) -> WrittenChoices:
    """The choices as they are written, before any limit.

    Args:
        depth: of the network; None if it is not known, and then no location is too deep.
    """
    if entry is None:
        return WrittenChoices(Entry("choices", 0, {}), {})
    if not isinstance(entry.value, dict) or not entry.value:
        problems.add(entry, "must be a mapping such as {skip: [none, gate], bottleneck: [none, se]}")
        return WrittenChoices(entry, {})
    by_name = {}
    for name, field in entry.value.items():
        stage = _stage(name, field, depth, problems)
        specs = _specs(field, stage, options, kinds, problems)
        by_name[name] = LocationChoices(field, specs)
    return WrittenChoices(entry, by_name)


def _stage(name: str, field: Entry, depth: int | None, problems: Problems) -> Stage | None:
    """The stage that a field of the choices names; None if it names none."""
    if name in list(Stage):
        return Stage(name)
    try:
        location = Location.parse(name[:MAX_NAME_LENGTH])
    except SpaceError as error:
        problems.add(field, str(error))
        return None
    if str(location) != name:
        problems.add(field, f"unknown location; did you mean '{location}'?")
    elif depth is not None and location.level >= depth:
        deepest = Location(location.stage, depth - 1)
        problems.add(field, f"no such location in a U-Net of depth {depth}; the deepest is {deepest}")
    return location.stage


def _specs(
    field: Entry, stage: Stage | None, options: Mapping[str, Options], kinds: Kinds, problems: Problems
) -> tuple[AttentionSpec, ...]:
    if not isinstance(field.value, tuple) or not field.value:
        what = "an empty list" if field.value == () else field.shown
        problems.add(field, f"must be a list of attentions such as [none, se], not {what}")
        return ()
    first: dict[AttentionSpec, Entry] = {}
    for item in field.value:
        spec = _spec(item, stage, options, kinds, problems)
        if spec in first:
            problems.add(item, f"{spec} is listed twice, first at line {first[spec].line}; leave one out")
        elif spec is not None:
            first[spec] = item
    return tuple(first)


def _spec(
    item: Entry, stage: Stage | None, options: Mapping[str, Options], kinds: Kinds, problems: Problems
) -> AttentionSpec | None:
    """One choice; None if it cannot be read, and then a problem is reported."""
    own = dict(item.value) if isinstance(item.value, dict) else {}
    name = own.pop("kind", item)
    if name is item and isinstance(item.value, dict):
        problems.add(item, "the field 'kind' is missing; write {kind: se, reduction: 8}")
        return None
    kind = _kind(name, kinds, problems)
    if kind is None:
        return None
    if stage is not None and (problem := stage_problem(kind, stage)):
        problems.add(item, problem)
    before = len(problems)
    given = options[kind.name] | _options(own, kind, problems)
    return canonical_spec(kind, given) if len(problems) == before else None


def _kind(entry: Entry, kinds: Kinds, problems: Problems) -> AttentionKind | None:
    name = entry.value
    if not isinstance(name, str):
        problems.add(entry, f"{entry.shown} is not an attention; write a kind such as none or se")
        return None
    try:
        if name in kinds:
            return kinds[name]
    except RegistryError as error:  # a user's module that cannot be used
        problems.add(entry, str(error))
        return None
    bare = name.partition("(")[0]
    mend = f"write {{kind: {bare}, option: value}}" if bare in kinds else did_you_mean(name, kinds)
    problems.add(entry, f"unknown attention {entry.shown}; {mend}")
    return None


def _options(given: Mapping[str, Entry], kind: AttentionKind, problems: Problems) -> Options:
    """The valid options; the others become problems."""
    options: Options = {}
    for name, entry in given.items():
        value = entry.value
        if isinstance(value, (tuple, dict)) or value is None:
            problems.add(entry, f"must be a number or a word, not {entry.shown}")
        elif found := kind.problems({name: value}):
            for problem in found:
                problems.add(entry, problem)
        else:
            options[name] = value
    return options
