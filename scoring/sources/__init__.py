"""What produces signals: checkpoints, recorded dynamics, arrays."""
