"""What a study found, for people: terminal tables, the report page, the dashboard's content."""
