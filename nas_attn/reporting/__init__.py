"""What a study says, for people: words, terminal tables, the report page, the dashboard."""
