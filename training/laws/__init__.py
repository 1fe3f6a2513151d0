"""Scaling laws: fitted to runs, with their uncertainty, judged by what they predict."""
