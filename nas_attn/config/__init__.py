"""Every setting of a search, declared once: flags, study files, the Python signature and README are made of it."""
