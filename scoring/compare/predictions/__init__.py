"""What runs predict: how often they differ, what they agree on, what ensembles add."""
