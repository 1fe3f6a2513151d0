"""Changes to data that are known exactly, so that scores and selections can be judged against them."""
