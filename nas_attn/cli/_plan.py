"""The plan of a search, shown before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from nas_attn.budget import PLAIN
from nas_attn.commands import command
from nas_attn.data import absent_classes
from nas_attn.losses import loss_text
from nas_attn.metric import MEAN_IOU, METRICS, Metric
from nas_attn.models.described_network import DescribedNetwork
from nas_attn.record import n_ended
from nas_attn.wording.numbers import amount, counted, duration, power_of_ten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas_attn.data import Dataset
    from nas_attn.record import TrialRecord
    from nas_attn.reporting.progress.pace import Pace
    from nas_attn.space import SearchSpace
    from nas_attn.strategy.schedule.agenda import Agenda
    from nas_attn.strategy.settings import StudySettings
    from nas_attn.study.setup.resolve import Resolved


_ON_PROOF = "once they are validated"


def plan_table(resolved: Resolved, agenda: Agenda, records: Sequence[TrialRecord], pace: Pace) -> Table:
    """The plan in a dozen lines: the search, the trials that the study already has, and how long it will take."""
    from nas_attn.study.database.storage import describe_storage

    settings, dataset = resolved.settings, resolved.dataset
    recipe = settings.recipe
    metric = METRICS[settings.metric].of(recipe.multi_label)
    space, network, plain = settings.space, settings.space.network, resolved.costs.plain
    table = Table.grid(padding=(0, 2))
    n_done = n_ended(records)
    rows = (
        ("study", f"{settings.study}, in {describe_storage(resolved.url)}"),
        ("data", _data(resolved)),
        ("classes", f"{', '.join(dataset.classes)}{', which may overlap' if dataset.multi_label else ''}"),
        ("space", f"{space.name}: {_size(space)}{_without(space)}"),
        (
            "network",
            f"{network.headline}: "
            f"{amount(plain.parameters)} parameters, {amount(plain.macs)} MACs per {network.input_name} of "
            f"{space.height}x{space.width}",
        ),
        ("trial", f"{_budget(settings)}, {settings.precision} (preset: {resolved.preset.name})"),
        *_folds(resolved),
        ("loss", loss_text(recipe.loss, recipe.class_weights, recipe.foreground, recipe.multi_label)),
        ("device", f"{', '.join(settings.devices)}, {_workers(settings.workers, settings.device_kind)}"),
        ("trials", f"{_trials(settings, agenda)}; objectives: {_objective(metric)} up, {settings.cost} down"),
        ("done", _done(n_done)),
        ("time", _time(settings, agenda, records, pace)),
        ("power", _power(settings, agenda, records, pace)),
        (metric.word, f"{metric.definition}{_left_out(resolved)}{_unverified(metric, dataset)}"),
    )
    for name, text in rows:
        table.add_row(Text(name, style="bold"), Text(text))
    return table


def _size(space: SearchSpace) -> str:
    return f"{len(space.locations)} locations, {placements(space.size)} placements"


def _without(space: SearchSpace) -> str:
    """The kinds of a space that a network of others cannot take at some locations, or anywhere."""
    replacing = {kind.name for kind in space.kinds if kind.replaces}
    left_out = {gone.spec.kind for gone in space.dropped} & replacing
    if not left_out or not isinstance(space.network, DescribedNetwork):
        return ""
    standing = {spec.kind for _, specs in space.choices for spec in specs}
    anywhere, somewhere = sorted(left_out - standing), sorted(left_out & standing)
    parts = [
        f"without {', '.join(anywhere)}" if anywhere else "",
        f"without {', '.join(somewhere)} at some locations" if somewhere else "",
    ]
    return f"; {' and '.join(filter(None, parts))}: this network has no suitable convolution or block there"


def _budget(settings: StudySettings) -> str:
    """The budget of a trial, and how it is found or what runs before it."""
    start = " from the trained baseline" if settings.ladder_start == PLAIN else ""
    if settings.find_budget:
        rungs = f"; then also a ninth and a third of it{start}, {_ON_PROOF}" if settings.ladder else ""
        return f"{settings.budget}, doubled until differences between placements have settled{rungs}"
    *lower, top = settings.ladder_below(settings.budget)
    clips = f", each of {settings.space.network.frames} frames" if settings.space.network.frames > 1 else ""
    full = f"{top}{clips}"
    if not lower:
        return full
    short = f"{', '.join(str(budget.steps) for budget in lower)}{start}"
    return f"{full}; {short}, {_ON_PROOF}" if settings.on_proof else f"{short} and {full}"


def _trials(settings: StudySettings, agenda: Agenda) -> str:
    from nas_attn.study.setup.resolve import ENDLESS

    course = agenda.course(())
    if course is None:
        return f"{settings.trials}: reference architectures, proposals {_proposers(settings)} and the finals"
    references = counted(agenda.n_references(course), "reference architecture")
    if settings.timeout is not None:
        share = f"{settings.finalists:.0%} of the time for the finals"
        most = f"at most {settings.trials}" if settings.trials < ENDLESS else "as many as there is time for"
        return f"{most}: {references}, proposals {_proposers(settings)}, {share}"
    proposals = counted(agenda.n_proposals(course), "proposal")
    noise = f"{agenda.n_common} for the noise, " if agenda.n_common else ""
    budget = f"{course.n_doubled} of twice the steps for the budget, " if course.n_doubled else ""
    finals = f"{agenda.n_finalists(course)} for the finals"
    return f"{settings.trials}: {references}, {noise}{budget}{proposals} {_proposers(settings)}, {finals}"


def _proposers(settings: StudySettings) -> str:
    """``by additive, with 4 seeds in turn``."""
    turns = len(settings.screening_seeds)
    return f"by {settings.strategy}" + (f" with {turns} seeds in turn" if turns > 1 else "")


def _time(settings: StudySettings, agenda: Agenda, records: Sequence[TrialRecord], pace: Pace) -> str:
    """The expected time, by the same estimate as in the progress display."""
    from nas_attn.strategy.schedule.budget_search import TimeLimit

    needed, each = pace.left(records), f"{pace.each(records):.1f} s a trial"
    if settings.timeout is not None and pace.expected(records) < settings.trials:
        return f"{duration(needed)}, plus the time to finish running trials ({each})"
    if agenda.course(records) is None:
        limit = duration(TimeLimit.of(settings).seconds)
        return f"at least {duration(needed)}, more with each doubling of the steps, at most about {limit} ({each})"
    return f"about {duration(needed)} ({each})"


def _power(settings: StudySettings, agenda: Agenda, records: Sequence[TrialRecord], pace: Pace) -> str:
    """What the planned number of trials can detect, or when that will be known."""
    from nas_attn.reporting.progress.first_look import FirstLook, have_ended

    course = agenda.course(records)
    if course is None:
        return "the smallest detectable gain is known once the budget is found"
    if not settings.finalists:
        return "without finals (--finalists) no gain can be significant"
    if not agenda.n_common:
        return f"the smallest detectable gain is known after the finals: {settings.trials} are few"
    if have_ended(course.for_noise, records) and (said := FirstLook(settings, agenda, pace).sight(records)):
        return said
    budget = f", whether the steps are enough after the first {len(course.for_budget)}" if course.n_doubled else ""
    return f"the smallest detectable gain is known after the first {len(course.for_noise)} runs{budget}"


def placements(size: int) -> str:
    """A number of placements: ``576``, ``2.9 x 10^10``."""
    return f"{size:,}" if size < 10**6 else power_of_ten(size)


def _data(resolved: Resolved) -> str:
    dataset, side = resolved.dataset, resolved.settings.source.longest_side
    shrunk = f", shrunk to {side} px" if side else ""
    splits = (dataset.train, dataset.val, dataset.test)
    counts = "{} training, {} validation and {} test {}".format(*map(len, splits), dataset.units)
    if dataset.has_clips:
        counts += " in {}, {} and {} clips".format(*(len(split.clips) for split in splits))
    return f"{dataset.name}: {counts} of {counted(dataset.in_channels, 'channel')}{shrunk}"


def _objective(metric: Metric) -> str:
    return metric.word if metric.name == MEAN_IOU else metric.title


def _folds(resolved: Resolved) -> list[tuple[str, str]]:
    settings, dataset = resolved.settings, resolved.dataset
    if not settings.folds:
        return []
    return [
        (
            "folds",
            f"{settings.n_folds} of the {len(dataset.train) + len(dataset.val)} training and validation "
            f"{dataset.units}, each held out in turn: a trial trains {settings.n_folds} networks",
        )
    ]


def _left_out(resolved: Resolved) -> str:
    """The classes that the mean leaves out in all trials."""
    from nas_attn.study.setup.checks import judged_images

    classes = resolved.dataset.classes
    absent = absent_classes(judged_images(resolved.settings, resolved.dataset), classes)
    return f"; without {', '.join(absent)}, which no validation mask contains" if absent else ""


def _unverified(metric: Metric, dataset: Dataset) -> str:
    """That the metric cannot be computed on the test data."""
    from nas_attn.study.setup.checks import is_judged

    if is_judged(metric.name, dataset.test, dataset.classes):
        return ""
    return (
        f"; no test mask holds a class but {dataset.classes[0]}, so that '{command('verify')}' cannot judge by it"
    )


def _done(number: int) -> str:
    if not number:
        return "nothing yet"
    return f"{counted(number, 'trial')}; the search continues after {'it' if number == 1 else 'them'}"


def _workers(number: int, device_kind: str) -> str:
    threads = " with one thread" + (" each" if number > 1 else "") if device_kind == "cpu" else ""
    return f"{counted(number, 'worker')}{threads}"
