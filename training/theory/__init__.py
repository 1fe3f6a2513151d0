"""Small worlds of known theory that stand beside studies: what selection should do where everything is known."""
