"""How densely other documents lie around a document: sums of a kernel over a corpus, exact, by anchors or by sketch."""
