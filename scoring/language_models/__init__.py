"""What language models make of texts: negative log-likelihoods per document and per token.

Causal models of transformers (``causal_model``) read texts as tokens (``encoding``) in strided ``windows``;
``provider`` gives scorers the sums, ``token_losses`` the tokens. ``ngram`` needs no model: it counts.
"""
