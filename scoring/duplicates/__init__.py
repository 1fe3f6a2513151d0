"""Which documents say the same: texts by the shingles that they share, embeddings by their angle."""
