"""Choosing inside the training loop: which examples of a large draw an update is made on."""
