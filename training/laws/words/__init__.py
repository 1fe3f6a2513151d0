"""What a law says, in words and numbers."""
