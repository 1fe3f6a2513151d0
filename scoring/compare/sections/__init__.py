"""What ``compare`` says about each of its questions, one file per question."""
