"""Export an architecture in one or several formats; each is compared with the network before it is written.

SOURCE is a study, an architecture file, or the folder of a run of 'nas-attn train', whose weights are then
included. The format follows from the suffix of FILE, or from --format:

{formats}

nas-attn export nuclei -o best.yaml
nas-attn export nuclei --pick knee -o knee.yaml
nas-attn export nuclei --pick under:macs=1.2x -o small.yaml
nas-attn export nuclei --pick id:1f0c -o mine.yaml
nas-attn export runs/best-nuclei -o best.py
nas-attn export runs/best-nuclei --format python,onnx -o best
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nas_attn.cli._flags import JOINING, add_settings
from nas_attn.cli._output import check_writable
from nas_attn.cli._stream import say
from nas_attn.commands import command
from nas_attn.errors import UsageError
from nas_attn.export.formats import FORMATS, known_formats, targets

__doc__ = (__doc__ or "").format(
    formats="\n".join(f"  {name:<9}{one.suffixes[0]:<8}{one.about}" for name, one in FORMATS.items())
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("source", metavar="SOURCE", help="study, architecture file, or folder of a run")
    parser.add_argument(
        "--format", metavar="NAME,...", help=f"{' | '.join(FORMATS)}, or several with commas [FILE's suffix]"
    )
    parser.add_argument(
        "--pick",
        metavar="RULE",
        help="which placement of a study: best | first | knee | one-se | under:macs=1.2x (also parameters, "
        "latency, memory) | id:HASH [best]",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="file to write; without its suffix where there are several formats",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="of an ONNX file or program, where it can take one size only [that of the search]",
    )
    add_settings(parser, ("storage",), defaults=JOINING)


def run(arguments: argparse.Namespace) -> int:
    """Pick a placement and write it."""
    from nas_attn.cli._console import wide_console
    from nas_attn.export.save import save
    from nas_attn.export.subject import read_source
    from nas_attn.wording.placements import describe

    formats = known_formats(arguments.format.split(",")) if arguments.format else None
    if arguments.output is None:
        return _print(arguments, formats)
    files = targets(arguments.output, formats)
    for file in files.values():
        check_writable(file)
    subject = read_source(arguments.source, arguments.pick, arguments.storage)
    architecture = subject.architecture
    rank = "" if architecture.results is None else f"rank {architecture.results.rank}, "
    console = wide_console()
    console.print(f"{describe(architecture.placement)} ({rank}{architecture.placement.id})", soft_wrap=True)
    for saved in save(subject, files, arguments.image_size):
        console.print(f"  {saved.path}: {saved.check}", soft_wrap=True)
    return 0


def _print(arguments: argparse.Namespace, formats: tuple[str, ...] | None) -> int:
    """Print the one format that is read instead of stored."""
    if formats != ("smp",):
        raise UsageError(f"the following arguments are required: -o/--output; see {command('export', help=True)}")
    from nas_attn.export.smp import smp_text
    from nas_attn.export.subject import read_source

    text, check = smp_text(read_source(arguments.source, arguments.pick, arguments.storage))
    say(f"{text}# Checked: {check}.")
    return 0
