"""Every setting of a search, declared once: flags, study files, the Python signature and docs are made of it."""
