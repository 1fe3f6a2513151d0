"""Cautions of a map as sentences: one for each law whose parameters are hardly determined, others as they are."""

from training.laws.analysis.loss_to_loss import doubts_told
from training.laws.cautions import Caution


def test_one_sentence_per_law_of_hardly_determined_parameters():
    cautions = [
        Caution(
            "wide", "the law of the source: A is hardly determined: its 95 % interval spans a factor of 18.0."
        ),
        Caution(
            "wide", "the law of the source: beta is hardly determined: its 95 % interval spans all sizes."
        ),
        Caution(
            "at_bound",
            "the law of the target: at a bound: E = 0; the runs do not determine it inside its range.",
        ),
        Caution("wide", "kappa: its 95 % bootstrap interval spans a factor of 6.4."),
    ]
    assert doubts_told(cautions) == [
        "The law of the target: at a bound: E = 0; the runs do not determine it inside its range.",
        "Hardly determined in the law of the source: A, beta.",
        "Hardly determined in the map: kappa.",
    ]
    assert doubts_told([]) == []
