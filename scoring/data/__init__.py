"""How examples are read: files, hub, arrays; columns, labels, splits, contents. The face is ``scoring.examples``."""
