"""What every worker needs, loaded once by the process from which workers are forked.

No thread may run there, so libraries that start threads when they are loaded are limited to one, as in workers.
"""

import os
from contextlib import suppress

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
with suppress(Exception):  # whatever a broken package raises: a worker that needs it meets it again, and says so
    import nas_attn.models.build
    import nas_attn.study.workers.worker_process
    import nas_attn.training.evaluation  # noqa: F401
