"""The two-way model behind a ranking: score = level of the placement + effect of the seed + noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

SeedScores = Mapping[int, float]
"""Seed to IoU, for one placement."""

_NO_PIVOT = 1e-10


def seed_effects(table: Sequence[SeedScores], weights: Sequence[float]) -> dict[int, float]:
    """The effect of every seed by generalised least squares.

    With the level of placement p drawn from N(0, tau^2) and noise of variance sigma^2, the normal equations are

        for each seed s:  sum over p in s of [ (y_ps - b_s) - w_p mean_t(y_pt - b_t) ] = 0,
        w_p = tau^2 / (tau^2 + sigma^2 / n_p)

    (the inverse of sigma^2 I + tau^2 J in closed form). All weights 1 give the ordinary fit with fixed levels,
    which determines the effects up to one constant for each connected group of seeds.

    Args:
        table: scores by seed, one entry for each placement.
        weights: w_p, from 0 to 1.
    Returns:
        seed to effect, for every seed of the table.
    """
    effects: dict[int, float] = {}
    for seeds, rows in connected_groups(table):
        effects.update(zip(seeds, _solve(*_normal_equations(table, weights, seeds, rows)), strict=True))
    return effects


def adjusted_mean(scores: SeedScores, effects: Mapping[int, float]) -> float:
    """Mean score of a placement over its seeds, minus the seeds' effects."""
    return mean(score - effects[seed] for seed, score in scores.items())


def connected_groups(table: Sequence[SeedScores]) -> list[tuple[list[int], list[int]]]:
    """Groups of (seeds, row numbers) such that no row has scores in two of them."""
    parent: dict[int, int] = {seed: seed for scores in table for seed in scores}

    def root(seed: int) -> int:
        while parent[seed] != seed:
            parent[seed] = parent[parent[seed]]
            seed = parent[seed]
        return seed

    for scores in table:
        first, *others = scores or (None,)
        for other in others:
            parent[root(other)] = root(first)  # type: ignore[arg-type]  # a row with others has a first
    groups: dict[int, tuple[list[int], list[int]]] = {}
    for seed in sorted(parent):
        groups.setdefault(root(seed), ([], []))[0].append(seed)
    for number, scores in enumerate(table):
        if scores:
            groups[root(next(iter(scores)))][1].append(number)
    return list(groups.values())


def mean(values: Iterable[float]) -> float:
    """The arithmetic mean of at least one value."""
    held = list(values)
    return sum(held) / len(held)


def squares(values: Iterable[float]) -> float:
    """Sum of squared deviations from the mean of at least one value."""
    held = list(values)
    centre = mean(held)
    return sum((value - centre) ** 2 for value in held)


def _normal_equations(
    table: Sequence[SeedScores], weights: Sequence[float], seeds: list[int], rows: list[int]
) -> tuple[list[list[float]], list[float]]:
    place = {seed: number for number, seed in enumerate(seeds)}
    matrix = [[0.0] * len(seeds) for _ in seeds]
    right = [0.0] * len(seeds)
    for row in rows:
        scores = table[row]
        share = weights[row] / len(scores)
        total = sum(scores.values())
        for seed, score in scores.items():
            matrix[place[seed]][place[seed]] += 1.0
            right[place[seed]] += score - share * total
            for other in scores:
                matrix[place[seed]][place[other]] -= share
    return matrix, right


def _solve(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Gaussian elimination of a positive semidefinite, consistent system; undetermined unknowns become 0."""
    size = len(right)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    least = [_NO_PIVOT * max(abs(row[number]), 1.0) for number, row in enumerate(rows)]
    for pivot in range(size):
        if rows[pivot][pivot] <= least[pivot]:
            continue
        for row in range(pivot + 1, size):
            factor = rows[row][pivot] / rows[pivot][pivot]
            if factor:
                tail = zip(rows[row][pivot:], rows[pivot][pivot:], strict=True)
                rows[row][pivot:] = [old - factor * lead for old, lead in tail]
    solution = [0.0] * size
    for pivot in reversed(range(size)):
        if rows[pivot][pivot] > least[pivot]:
            known = sum(rows[pivot][column] * solution[column] for column in range(pivot + 1, size))
            solution[pivot] = (rows[pivot][size] - known) / rows[pivot][pivot]
    return solution
