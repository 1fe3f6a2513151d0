"""Pretraining of small language models: documents to tokens, a Llama by its width, and the run itself."""
