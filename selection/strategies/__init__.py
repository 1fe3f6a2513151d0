"""One strategy, or one family that differs in a sign, per file; ``selection.catalog`` names them."""
