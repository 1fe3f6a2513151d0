"""Scores of models on benchmarks: their components, ranks over scales, signal and noise."""
