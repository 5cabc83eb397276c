"""Time the leading placements of a study together, and store their latencies with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from nas_attn.analysis import RankedPlacement, Ranking
from nas_attn.analysis.result import claimed_row
from nas_attn.budget import Budget
from nas_attn.errors import UsageError
from nas_attn.latencies import LatencyTable
from nas_attn.models.catalogue import catalogue
from nas_attn.models.placement import Placement
from nas_attn.record import TrialRecord
from nas_attn.space.read import space_from_dict
from nas_attn.steps import step
from nas_attn.study.database.ledger import Ledger
from nas_attn.training import Precision
from nas_attn.training.evaluation import LatencyBench

TOP = 10
MOST = 32
"""Maximum number of placements that are timed together."""
SECONDS = 8.0
"""Seconds for one image, and as many for a batch, after which no further round starts; a quiet machine needs
less."""
_SHARE = 0.02
"""Maximum share of the trials' time that a search spends on timing single images, and again on timing batches."""
_MOST_PARAMETERS = 250_000_000
"""Maximum total for all networks, which are in memory at once."""

log = logging.getLogger(__name__)


def keep_latencies(ledger: Ledger, ranking: Ranking, bench: LatencyBench, top: int = TOP) -> LatencyTable:
    """Time the leading placements of a ranking together and write the latencies into the study.

    Args:
        ledger: of the study.
        ranking: of its trials.
        bench: that times.
        top: number of rows of the ranking to time, in addition to the placements that are always timed.
    Raises:
        RuntimeError: memory has run out; and other errors of torch.
        StudyError: the storage cannot be written.
    """
    wanted = leading_placements(ranking, top)
    with step(f"timing {len(wanted)} placements together"):
        table = bench(wanted)
    ledger.write_latencies(table)
    return table


def latencies_at_end(
    ledger: Ledger, records: Sequence[TrialRecord], ranking: Ranking, device: str
) -> LatencyTable | None:
    """The latencies of the leading placements, timed now unless all of them are known.

    If a search is stopped here, it has all of its trials; the same command times the placements again.

    Args:
        ledger: of the study.
        records: its trials; the longer they took, the longer the timing may take.
        ranking: of them.
        device: where to time.
    Returns:
        None if nothing is ranked or memory has run out; then only the trials' own latencies are known.
    Raises:
        StudyError: the storage cannot be written.
    """
    known, wanted = ledger.latencies, leading_placements(ranking)
    if not wanted or (known is not None and all(map(known.of, wanted))):
        return known
    try:
        seconds = min(SECONDS, _SHARE * sum(one.outcome.seconds for one in records if one.outcome is not None))
        return keep_latencies(ledger, ranking, replace(bench_of(ledger, device), seconds=seconds))
    except (RuntimeError, MemoryError) as error:
        log.warning("the leading placements were not timed: %s", error)
        return known


def bench_of(
    ledger: Ledger, device: str, *, size: tuple[int, int] | None = None, batch: int | None = None
) -> LatencyBench:
    """The bench that times the placements of a study; it does not use the data.

    Args:
        ledger: of the study.
        device: such as ``cpu`` or ``cuda:0``.
        size: H and W of the images; the default is the largest image that the search's network sees.
        batch: N of the batch; the default is the search's.
    Raises:
        UsageError: the network is too deep for such images.
        NasAttnError: the study's space cannot be read here.
    """
    identity = ledger.identity
    space = space_from_dict(identity["space"], catalogue(), where=f"study '{ledger.name}'")
    network, (height, width) = space.network, size or (space.height, space.width)
    if min(height, width) < network.min_image_size:
        least = f"{network.title} takes at least {network.min_image_size} pixels a side"
        raise UsageError(f"--size {height if height == width else f'{height}x{width}'}: {least}")
    return LatencyBench(
        network,
        height,
        width,
        batch or Budget.from_dict(identity["budget"]).batch_size,
        device,
        Precision.parse(identity["precision"]),
        SECONDS,
    )


def leading_placements(ranking: Ranking, top: int = TOP) -> list[Placement]:
    """The placements that are timed together: baseline, claimed placement, first rows, Pareto front, tested
    placements.

    Args:
        ranking: of a study.
        top: number of first rows.
    """
    if not ranking.rows:
        return []
    chosen = dict.fromkeys(row.placement for row in _by_weight(ranking, top))
    base = ranking.rows[0].cost.parameters if ranking.plain is None else ranking.plain.cost.parameters
    most = max(2, min(MOST, _MOST_PARAMETERS // max(1, base)))
    return list(chosen)[:most]


def _by_weight(ranking: Ranking, top: int) -> Iterator[RankedPlacement]:
    rows: Sequence[RankedPlacement] = ranking.rows
    yield from (row for row in rows if row.is_plain)
    if (claimed := claimed_row(ranking)) is not None:
        yield claimed
    yield from rows[:top]
    yield from (row for row in rows if row.on_front)
    yield from (row for row in rows if row.tested)
