"""What a trained model did: over all examples, over classes and groups; what a selection kept; what it cost."""
