"""Asking a language model about documents: prompts, windows of long documents, and who answers."""
