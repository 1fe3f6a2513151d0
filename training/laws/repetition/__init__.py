"""Repeated data: the best size and epochs, and how much to keep."""
