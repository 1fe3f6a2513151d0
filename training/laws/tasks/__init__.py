"""Task results from loss and size: runs and their curves, two laws in a chain, pass rates."""
