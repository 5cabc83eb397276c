"""Errors of the system that are nobody's mistake in this program: a closed folder, a full disk, a broken one."""

from __future__ import annotations

import errno

_OF_THE_MACHINE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG, errno.ELOOP),
}


def machine_problem(error: OSError) -> str | None:
    """Such an error as a line: which file, and what is wrong; None where it is another one, and so a bug."""
    if error.errno not in _OF_THE_MACHINE:
        return None
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{where}{error.strerror or error}"
