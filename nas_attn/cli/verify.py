"""Is the winner's gain real? Run it, the baseline and the best reference architecture again on the test data.

  nas-attn verify nuclei
  nas-attn verify nuclei --seeds 8 --ablate
  nas-attn verify nuclei --pick id:1f0c

The winner is the first placement that the search found better than the baseline; if there is none, the first
with attention. Neither the fresh seeds nor the test data took part in its selection. The same command resumes a
stopped verification; with more --seeds, only the missing ones run. A seed with which the winner or the baseline
collapsed or failed is replaced, for at most half of the seeds (at least two). The search's own trials stay as
they are; its best.yaml is updated by the result.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from nas_attn.cli._flags import JOINING, add_settings, given_settings
from nas_attn.cli._stream import say
from nas_attn.commands import command

if TYPE_CHECKING:
    from rich.console import Console

    from nas_attn.analysis.per_class import ClassIous
    from nas_attn.study.setup.join import JoinRequest
    from nas_attn.study.verified import VerifiedClaim

SEEDS = 5
_SETTINGS = ("storage", "data", "device", "workers")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument(
        "--seeds",
        type=int,
        default=SEEDS,
        metavar="N",
        help=f"fresh seeds per placement; an interval needs at least 4 [{SEEDS}]",
    )
    parser.add_argument("--pick", metavar="HOW", help="the winner, as in an export [the best claim]")
    parser.add_argument("--ablate", action="store_true", help="also run the winner without each of its modules")
    add_settings(parser, _SETTINGS, defaults=JOINING)
    parser.add_argument("--json", action="store_true", help="the result as one object")


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing, and print whether the claim is confirmed."""
    from nas_attn.cli._console import wide_console
    from nas_attn.cli._progress import stoppable

    request, console = _request(arguments), wide_console(quiet=arguments.json)
    told = "Stopped. Finished runs are kept; the same command resumes the verification."
    with stoppable(lambda: console.print(told)):
        verified, classes = _verified(arguments, request, console)
    if arguments.json:
        say(_json(verified, classes))
    else:
        _show(verified, classes, _command(arguments), console)
    return 0


def _request(arguments: argparse.Namespace) -> JoinRequest:
    from nas_attn.study.setup.join import JoinRequest

    seeds = arguments.seeds
    wrong = [] if seeds >= 2 else [f"--seeds: {seeds} must be at least 2, otherwise the noise cannot be estimated"]
    given = given_settings(arguments, _SETTINGS, *wrong)
    return JoinRequest(arguments.study, **given)  # type: ignore[arg-type]  # given_settings has judged each


def _verified(
    arguments: argparse.Namespace, request: JoinRequest, console: Console
) -> tuple[VerifiedClaim, tuple[str, ...]]:
    """The verification, and the names of the classes."""
    from nas_attn.data import absent_classes
    from nas_attn.study.answer import ranking_of
    from nas_attn.study.claim import Claim
    from nas_attn.study.setup.find import open_study
    from nas_attn.study.setup.join import resolve_joined
    from nas_attn.study.verify import verify
    from nas_attn.wording.placements import describe

    tell = partial(console.print, soft_wrap=True)
    # What can be wrong with the study is told before its data are read.
    ledger = open_study(request.study, request.storage)
    records = ledger.records()
    claim = Claim.of(records, ranking_of(ledger, records), arguments.pick)
    resolved, folder, _ = resolve_joined(request)
    tell(f"{describe(claim.winner)}, the baseline" + (f" and {claim.reference_name}" if claim.reference else ""))
    if resolved.settings.folds:
        tell("trained on train and val together, of which the search held out one fold at a time")
    test = f"{len(resolved.dataset.test)} test {resolved.dataset.units}"
    tell(f"{arguments.seeds} fresh seeds of each, {claim.budget}; {test}")
    if absent := absent_classes(resolved.dataset.test, resolved.dataset.classes):
        tell(f"the mean leaves out {', '.join(absent)}, which no test mask contains")
    verified = verify(
        resolved,
        folder,
        claim,
        n_seeds=arguments.seeds,
        ablate=arguments.ablate,
        listener=lambda finished, wanted: tell(f"{finished}/{wanted} runs"),
    )
    return verified, tuple(resolved.dataset.classes)


def _command(arguments: argparse.Namespace) -> str:
    """The command as it was given, without its number of seeds."""
    from nas_attn.study.database.storage import url_without_password

    storage = None if arguments.storage is None else url_without_password(arguments.storage)
    return command(
        "verify",
        arguments.study,
        pick=arguments.pick,
        storage=storage,
        data=arguments.data,
        ablate=arguments.ablate,
    )


def _class_ious(verified: VerifiedClaim) -> tuple[ClassIous, ClassIous]:
    """The IoU of each class on the test data, for the winner and for the baseline."""
    from nas_attn.analysis.per_class import mean_ious

    winner = verified.result.winner
    return mean_ious(verified.records, winner), mean_ious(verified.records, winner.plain)


def _json(verified: VerifiedClaim, classes: Sequence[str]) -> str:
    from nas_attn.analysis.per_class import named_ious

    winner, plain = (named_ious(ious, classes) for ious in _class_ious(verified))
    found = json.loads(verified.result.to_json())
    return json.dumps({**found, "iou_per_class": {"winner": winner, "baseline": plain}}, indent=2)


def _show(verified: VerifiedClaim, classes: Sequence[str], again: str, console: Console) -> None:
    from nas_attn.analysis.runs import metric_of
    from nas_attn.wording.placements import describe
    from nas_attn.wording.rankings import classes_sentence
    from nas_attn.wording.verifications import ablation_sentences, looks_sentences, verification_sentences

    result = verified.result
    console.print()
    for sentence in (
        *verification_sentences(result, again),
        *ablation_sentences(result),
        *looks_sentences(verified.n_looks),
        classes_sentence(classes, *_class_ious(verified), "the placement", metric_of(verified.records)),
    ):
        if sentence:
            console.print(sentence, soft_wrap=True)
    if (best := verified.new_best) is not None:
        console.print(f"\nBest architecture: {best.path}, now {describe(best.placement)}", soft_wrap=True)
