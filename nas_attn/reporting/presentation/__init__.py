"""What reports and dashboards show of a study."""
