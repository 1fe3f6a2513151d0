"""Predicting one loss from another: pairs of losses, the maps between them, and what they are worth."""
