"""Counts of words, lines and repetition: closed forms, datatrove as the oracle, and the rules."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from references.document_world import documents

from scoring.examples import Examples
from scoring.run import score
from scoring.scorers.gopher import Gopher
from scoring.text.gopher_counts import (
    COUNTS,
    RULES,
    duplicate_ngram_characters,
    gopher_counts,
    passed,
    top_ngram_characters,
)

PROSE = " ".join(documents(4, seed=5))


class TestCounts:
    def test_words_and_lines(self) -> None:
        counts = gopher_counts("  - The naïve #1 ... of\n\n• 北京 wait…\n12 !\n")
        runs = 11  # - The naïve #1 ... of • 北京 wait… 12 !
        assert counts["characters"] == 38
        assert counts["words"] == 7
        assert counts["mean_word_length"] == (3 + 5 + 2 + 2 + 2 + 5 + 2) / 7
        assert counts["hashes_per_word"] == 1 / runs and counts["ellipses_per_word"] == 2 / runs
        assert counts["alphabetic_words"] == 5 / runs
        assert counts["stop_words"] == 2
        assert counts["bullet_lines"] == 2 / 3 and counts["ellipsis_lines"] == 1 / 3
        assert counts["end_mark_lines"] == 1 / 3 and counts["short_lines"] == 1
        assert counts["lines_per_word"] == 3 / runs

    def test_repeated_lines_and_paragraphs(self) -> None:
        counts = gopher_counts("one\ntwo\n\none\ntwo\n \nthree\none")
        assert counts["duplicate_lines"] == 3 / 6 and counts["duplicate_paragraphs"] == 1 / 3
        assert counts["duplicate_line_characters"] == 9 / 28
        assert counts["duplicate_paragraph_characters"] == 7 / 28

    def test_ngrams(self) -> None:
        words = ["a", "bb", "a", "bb", "a", "bb", "ccc"]
        assert top_ngram_characters(words, 2) == 3 * 4
        assert top_ngram_characters(words, 3) == 2 * 7  # "bb a bb" is longer than "a bb a", both twice
        assert top_ngram_characters(words, 4) == 2 * 9
        assert top_ngram_characters(words, 5) == 0  # nothing occurs twice
        assert duplicate_ngram_characters(words, 2) == 3 * 2
        assert duplicate_ngram_characters(["x", "y", "x", "y"], 2) == 2
        assert duplicate_ngram_characters(["x"], 2) == 0

    def test_nothing(self) -> None:
        for text in ("", " \n\n "):
            counts = gopher_counts(text)
            assert counts["words"] == counts["characters"] == counts["stop_words"] == 0
            assert all(
                np.isnan(counts[name]) for name in COUNTS if name not in ("words", "characters", "stop_words")
            )

    def test_shares_are_shares(self) -> None:
        counts = gopher_counts("a " * 500)
        assert counts["top_2gram"] == 1 and 0 < counts["duplicate_10grams"] < 1


class TestAgainstDatatrove:
    """The functions of its filters, given the same words."""

    def test_repetition(self, data_dir: Path) -> None:
        theirs = pytest.importorskip("datatrove.pipeline.filters.gopher_repetition_filter")
        texts = pd.read_parquet(data_dir / "dclm_human_quality/dclm_human_quality.parquet").text.tolist()[
            :150
        ]
        compared = 0
        for text in (each.strip() for each in texts):
            counts, words = gopher_counts(text), text.split()
            for n in range(5, 11):
                assert counts[f"duplicate_{n}grams"] == theirs.find_all_duplicate(words, n) / len(text)
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            again, characters = theirs.find_duplicates(lines)
            assert counts["duplicate_lines"] == again / len(lines)
            assert counts["duplicate_line_characters"] == characters / len(text)
            for n in (2, 3, 4):
                grams = theirs.get_n_grams(words, n)
                times = [*sorted(Counter(grams).values(), reverse=True), 1, 1]
                if times[0] > times[1]:  # one that is most frequent, and repeated
                    compared += 1
                    assert counts[f"top_{n}gram"] == pytest.approx(
                        theirs.find_top_duplicate(grams) / len(text)
                    )
        assert compared > 60

    def test_verdicts(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whole filters keep and drop the same documents, where lines are not blank and bullets are theirs."""
        quality = pytest.importorskip("datatrove.pipeline.filters.gopher_quality_filter")
        repetition = pytest.importorskip("datatrove.pipeline.filters.gopher_repetition_filter")
        from datatrove.data import Document

        def bare(text: str, language: str) -> list[str]:
            return [word.strip(".,!?;:\"'()").lower() or word for word in text.split()]

        monkeypatch.setattr(quality, "split_into_words", bare)
        monkeypatch.setattr(repetition, "split_into_words", lambda text, language: text.split())
        texts = pd.read_parquet(data_dir / "dclm_human_quality/dclm_human_quality.parquet").text.tolist()
        texts = ["\n".join(line for line in text.split("\n") if line.strip()).strip() for text in texts]
        texts = [re.sub(r"^\s*[*‣▪◦●]", "", text, flags=re.MULTILINE) for text in texts]
        texts += [f"{PROSE}\n" * k for k in (1, 2, 9)] + ["# " * 60 + PROSE, "- a list\n" * 30 + PROSE]
        words = list(RULES)[:8]
        verdicts = []
        for text in texts:
            document, counts = Document(text=text, id=""), gopher_counts(text)
            kept = quality.GopherQualityFilter().filter(document) is True
            assert (passed(counts, words) == len(words)) == kept, text[:80]
            clean = repetition.GopherRepetitionFilter().filter(document) is True
            ours = passed(counts, set(RULES) - set(words)) == 13
            if counts["words"] >= 50:  # in a few words, one that occurs once is most of the text
                assert ours == clean, text[:80]
            verdicts += [kept, clean]
        assert 10 < verdicts.count(False) < len(verdicts) / 2


class TestScore:
    def test_share_of_rules(self) -> None:
        texts = [
            PROSE,
            "too short",
            "",
            " ".join(f"#{word}" for word in PROSE.split()),
            f"{PROSE}\n\n{PROSE}\n\n{PROSE}",
        ]
        table = score(Examples.from_arrays(texts), "gopher")
        failed = 21 * (1 - table.column("gopher"))
        np.testing.assert_allclose(failed[[0, 2]], [0, 21], atol=1e-12)
        assert failed[1] == pytest.approx(2)  # words and stop words
        assert failed[3] == pytest.approx(1)  # hashes
        assert failed[4] > 5
        assert table.column("gopher.words")[1] == 2

    def test_other_languages(self) -> None:
        german = "Der Mann und die Frau gehen an das Meer und sehen ein Boot mit Fischen am Ufer liegen. " * 1
        text = " ".join(f"{german}{word}." for word in ("Gestern", "Heute", "Morgen", "Bald"))
        lines = "\n".join(f"{k}. {text[k : 90 + 3 * k]}" for k in range(5))
        rules = {
            stop: score(Examples.from_arrays([lines]), Gopher(stop_words=stop))
            for stop in ("der;die;und", "none")
        }
        for stop, table in rules.items():
            (name,) = [each for each in table.names if each.endswith(")")]
            rules_of = 20 if stop == "none" else 21
            found = (table.column(name) * rules_of)[0]
            assert found == pytest.approx(round(found))
        english = score(Examples.from_arrays([lines]), "gopher").column("gopher")[0]
        with_words = rules["der;die;und"]
        (name,) = [each for each in with_words.names if each.endswith(")")]
        assert with_words.column(name)[0] == pytest.approx(english + 1 / 21)

    def test_no_stop_words(self) -> None:
        with pytest.raises(ValueError, match="stop_words must be"):
            Gopher(stop_words="")
