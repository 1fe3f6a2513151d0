"""Do scores call the same examples hard: in a run, between runs, between architectures?"""
