"""One scorer, or one close family, per file; the file is named as its paper names the idea."""
