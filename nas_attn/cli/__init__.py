"""The commands: one file per verb, imported only when its verb is called."""
