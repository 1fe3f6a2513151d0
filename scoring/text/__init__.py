"""What is counted in documents without a model: tokens, hashed n-grams, repetition, terms."""
