"""Studies: grids of runs with baselines, as tidy tables."""
