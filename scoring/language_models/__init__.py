"""What language models make of texts: negative log-likelihoods per document and per token."""
