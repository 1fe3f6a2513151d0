"""Vectors of documents and images: encoders that make them, and stores that keep them by id."""
