"""Every setting of a search, declared once: flags, study files, the Python signature and the docs are made from
it."""
