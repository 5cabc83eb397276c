"""Set up a study: resolve a request, then start, join or find the study."""
