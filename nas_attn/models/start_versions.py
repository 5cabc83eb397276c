"""Which versions of the neutral start attentions are trained from: what a study or a run must not mix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nas_attn.models.kind import AttentionKind
from nas_attn.models.placement import AttentionSpec

NEUTRAL_START_OF = "neutral start of "
FIRST = 1


def start_versions(specs: Iterable[AttentionSpec], kinds: Mapping[str, AttentionKind]) -> dict[str, int]:
    """By the name of the setting, as ``neutral start of se``, the version of each kind that starts neutrally.

    What is still the first version is left out, so that older studies are the same studies.

    Args:
        specs: attentions, some perhaps several times.
        kinds: the facts of their kinds, by name.
    """
    found = {}
    for spec in specs:
        kind = kinds[spec.kind]
        if kind.neutral_version != FIRST and kind.complete(spec)["start"] == "neutral":
            found[f"{NEUTRAL_START_OF}{kind.name}"] = kind.neutral_version
    return dict(sorted(found.items()))


def unsaid_version(setting: str) -> int | None:
    """The version where nobody says one; None for a setting that is none of a start."""
    return FIRST if setting.startswith(NEUTRAL_START_OF) else None
