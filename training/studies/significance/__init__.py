"""Is the difference real? Signal, noise, decisions between scales, averaging, power: from a study's own table."""
