"""``python -m nas_attn`` is ``nas-attn``."""

import sys

from nas_attn.cli.main import main

sys.exit(main())
