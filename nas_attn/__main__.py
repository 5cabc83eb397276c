"""``python -m nas_attn`` is ``nas-attn``."""

import sys

from nas_attn.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
