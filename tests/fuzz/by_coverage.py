"""The same as ``readers.py``, but atheris (``pip install atheris``) leads the input to code not reached yet.

  python tests/fuzz/by_coverage.py space -max_total_time=120

What follows the target goes to libFuzzer, which ends the process and says how many inputs it has run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nas_attn", "yaml", "tifffile"]):
    import readers


def main() -> None:
    """Fuzz one target."""
    program, target, *options = sys.argv
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for index, content in enumerate(readers.seeds(target)):
            (corpus / str(index)).write_bytes(content)
        limits = ("-max_len=8192", "-timeout=30", "-rss_limit_mb=4096", f"-artifact_prefix=crash-{target}-")
        atheris.Setup(
            [program, str(corpus), *limits, *options],
            lambda content: readers.try_one(target, content, Path(folder)),
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
