"""The content that reports and dashboards show of a study."""
