"""Results for people: terminal tables, the report page, and the content of the dashboard."""
