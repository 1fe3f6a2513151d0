"""Figures about scores, each in a file of its own; ``style`` is what they share."""
