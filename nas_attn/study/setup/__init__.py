"""From what a user asked for to a study that is begun, joined or found again."""
