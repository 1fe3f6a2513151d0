"""Loss curves under learning-rate schedules."""
