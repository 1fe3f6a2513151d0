"""How a law is fitted: objective, problem, minimiser."""
