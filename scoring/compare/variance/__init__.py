"""How much of a score is the example, the architecture's own view of it, and chance?"""
