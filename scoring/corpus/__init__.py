"""Scoring documents without a trained classifier: what models of text make of them, and what stands in them."""
