"""The fewest examples whose scores name the architecture of a run."""
