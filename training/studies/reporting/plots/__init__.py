"""Figures of studies, one each; see ``scoring.plots.style`` for what they share."""
