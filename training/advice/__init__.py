"""Before pruning: which end to keep, or that random is safer, with the evidence and the rules that read it."""
