"""An untrained BERT with a regression head, saved as a Hugging Face folder."""

from pathlib import Path

import torch
from references.tiny_encoders import save_bert


def save_head(folder: Path, outputs: int = 1, positions: int = 48) -> Path:
    """The BERT of ``tiny_encoders`` as a model for sequence classification."""
    from transformers import BertConfig, BertForSequenceClassification

    save_bert(folder, positions=positions)
    config = BertConfig.from_pretrained(folder, num_labels=outputs)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        network = BertForSequenceClassification(config)
        for weight in network.parameters():  # so that outputs differ as those of trained ones do
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.5)
        torch.nn.init.normal_(network.classifier.weight, std=4.0)
        network.save_pretrained(folder)
    return folder
