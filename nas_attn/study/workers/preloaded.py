"""What every worker needs, loaded once by the process that workers are forked from."""

from contextlib import suppress

with suppress(Exception):  # whatever a broken package raises: a worker that needs it meets it again, and says so
    import nas_attn.models.build
    import nas_attn.study.workers.worker_process
    import nas_attn.training.evaluation  # noqa: F401
