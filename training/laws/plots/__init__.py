"""Figures about scaling laws, one per file, in the style of ``scoring/plots``; ``axes`` is what they share."""
