"""The commands, one file per verb. A file is imported only when its verb is called."""
