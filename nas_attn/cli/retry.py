"""Repeat trials that failed because of the machine, not their placement: unreadable data, a full disk, a driver.

nas-attn retry nuclei
nas-attn retry nuclei --all

A search usually stops at such a failure without counting the trial. This verb is for trials that were counted as
failed: those that another program ended and, with --all, those whose placement failed. They run again, under their
numbers, in the next search.
"""

from __future__ import annotations

import argparse

from nas_attn.cli._flags import JOINING, add_settings

_MOST_REASONS = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    parser.add_argument("--all", action="store_true", help="all failed trials, also those whose placement failed")
    add_settings(parser, ("storage",), defaults=JOINING)


def run(arguments: argparse.Namespace) -> int:
    """Print how many trials run again, and why they had failed."""
    from nas_attn.cli._stream import say
    from nas_attn.study.setup.retried import retry

    done = retry(arguments.study, arguments.storage, all_of_them=arguments.all)
    lines = [f"study '{arguments.study}': {_count(done.n_trials)} to run again with its next search"]
    lines += [f"  {number} x {reason}" for reason, number in done.reasons[:_MOST_REASONS]]
    if (more := len(done.reasons) - _MOST_REASONS) > 0:
        lines.append(f"  and {more} more reasons")
    if done.n_kept:
        lines.append(
            f"not repeated, because the placement itself failed: {_count(done.n_kept)} (--all repeats them too)"
        )
    for line in lines:
        say(line)
    return 0


def _count(number: int) -> str:
    return {0: "no failed trial", 1: "1 failed trial"}.get(number, f"{number} failed trials")
