"""One selection strategy per file."""
