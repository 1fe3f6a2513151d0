"""How well a law is known: intervals by bootstrap, profile and curvature."""
