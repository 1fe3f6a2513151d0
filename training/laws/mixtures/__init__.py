"""Data mixtures: loss as a function of domain proportions, how well it predicts, and the mixture it calls best."""
