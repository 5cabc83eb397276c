"""What matters where: what each attention adds at each location, over the whole study.

nas-attn effects nuclei
nas-attn effects nuclei --json > effects.json
"""

from __future__ import annotations

import argparse

from nas_attn.cli._flags import JOINING, add_settings
from nas_attn.cli._stream import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("study", metavar="STUDY", help="name of a study, or its folder")
    add_settings(parser, ("storage",), defaults=JOINING)
    parser.add_argument("--json", action="store_true", help="effects, interactions and redundancies as one object")


def run(arguments: argparse.Namespace) -> int:
    """Print the effects."""
    from nas_attn.analysis.effects import study_effects
    from nas_attn.analysis.formats import effects_json
    from nas_attn.study.setup.find import open_study
    from nas_attn.wording.effects import effect_notes

    effects = study_effects(open_study(arguments.study, arguments.storage).records())
    if arguments.json:
        say(effects_json(effects, effect_notes(effects)))
    else:
        from nas_attn.cli._console import wide_console
        from nas_attn.reporting.terminal.effects_table import effects_table

        wide_console().print(effects_table(effects))
    return 0
