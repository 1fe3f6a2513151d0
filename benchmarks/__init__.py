"""One script per claim; each writes a record."""
