"""Whether short runs predict long ones, in sentences."""

from __future__ import annotations

from nas_attn.analysis.fidelity import RungFidelity


def fidelity_sentences(fidelity: RungFidelity) -> tuple[str, ...]:
    """The correlation, and a caution where short runs are not shown to predict long ones."""
    return tuple(filter(None, (correlation_sentence(fidelity), _caution(fidelity))))


def correlation_sentence(fidelity: RungFidelity) -> str:
    """The correlation with its interval, and what perfect short runs would show."""
    interval, attainable = fidelity.interval, fidelity.attainable
    known = "" if interval is None else f" ({interval.low:+.2f} to {interval.high:+.2f})"
    most = (
        ""
        if attainable is None
        else f" A perfect prediction would show {attainable:+.2f}: the longer runs are noisy, too."
    )
    rungs = f"From {fidelity.lower.brief} to {fidelity.upper.brief}"
    return (
        f"{rungs}: rank correlation {fidelity.correlation:+.2f}{known} "
        f"over {fidelity.n_placements} placements run at both.{most}"
    )


def _caution(fidelity: RungFidelity) -> str:
    if fidelity.predicts:
        return ""
    short, long = fidelity.lower.brief, fidelity.upper.steps
    if fidelity.predicts is None:
        return (
            f"{fidelity.n_placements} placements run at both are too few to tell whether {short} predict {long}: "
            "what was dropped for its short run may have been good."
        )
    return (
        f"Runs of {short} did not predict runs of {long}: what was dropped for its short run may have been good; "
        "a longer first rung may say more."
    )
