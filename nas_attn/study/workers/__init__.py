"""Workers that evaluate, as processes or Ray actors, and what happens when one of them dies."""
