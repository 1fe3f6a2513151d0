"""What `tamis fit` does: laws, maps and comparisons of a run table, as reports."""
