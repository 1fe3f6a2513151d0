"""Intervals of means over runs and over pairs of runs, which are not independent."""
