"""Frequency of concepts: worlds whose counts are known, merging, terms, the long tail, and two real corpora."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from references.document_world import documents
from scipy.stats import spearmanr

from scoring.examples import Examples
from scoring.run import score
from scoring.scorers.concept_frequency import ConceptFrequency
from scoring.text.concepts import Terms, count_documents, inverted_index
from scoring.text.document_counts import Counts, count, look_up, merge
from scoring.text.long_tail import long_tail, zipf_exponent
from training.laws.concept_frequency import concept_frequency

NAMES = [f"concept{chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(200)]


def zipf_world(rows: int = 3000, seed: int = 0) -> tuple[list[str], np.ndarray]:
    """Documents of five concepts, drawn by Zipf's law; which holds which, (N, 200)."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, 201)
    drawn = rng.choice(200, size=(rows, 5), p=share / share.sum())
    holds = np.zeros((rows, 200), dtype=bool)
    holds[np.arange(rows)[:, None], drawn] = True
    return [" and, ".join(NAMES[k].title() for k in row) + "." for row in drawn], holds


TEXTS, HOLDS = zipf_world()
COUNTS = HOLDS.sum(axis=0)


class TestScore:
    @pytest.mark.parametrize("over", ["rarest", "mean"])
    @pytest.mark.parametrize("given", [True, False])
    def test_counts_are_known(self, over: str, given: bool) -> None:
        options: dict[str, Any] = {"terms": ";".join(NAMES)} if given else {}
        scorer = ConceptFrequency(over=over, min_documents=1, **options)
        table = score(Examples.from_arrays(TEXTS), scorer)
        name = table.scores[0]
        extra = 0 if given else 1  # "and" is a word, too, and stands in every document but no rare one
        logs = np.where(HOLDS, np.log10(np.maximum(COUNTS, 1)), np.nan)
        with_and = np.array(["and" in text for text in TEXTS]) & bool(extra)
        logs = np.c_[logs, np.where(with_and, np.log10(max(with_and.sum(), 1)), np.nan)]
        expected = np.nanmin(logs, axis=1) if over == "rarest" else np.nanmean(logs, axis=1)
        np.testing.assert_allclose(table.column(name), expected, atol=1e-12)
        np.testing.assert_array_equal(table.column(f"{name}.concepts"), HOLDS.sum(axis=1) + with_and)

    def test_rare_words_are_no_concepts(self) -> None:
        texts = ["shared words"] * 5 + ["shared typpo", "onlyonce 12 ab"]
        table = score(Examples.from_arrays(texts), "concept_frequency")
        expected = [np.log10(5)] * 5 + [np.log10(6), np.nan]
        np.testing.assert_allclose(table.column("concept_frequency"), expected)
        assert table.column("concept_frequency.concepts").tolist() == [2] * 5 + [1, 0]

    def test_terms_of_several_words(self, tmp_path: Path) -> None:
        texts = ["The New York Times", "new york", "york new", "NEW-YORK!", "newyork", ""]
        (tmp_path / "terms.txt").write_text("New York\n\nTimes\nnever\n")
        for terms in ("new york;times;never", str(tmp_path / "terms.txt")):
            table = score(Examples.from_arrays(texts, ids=list("abcdef")), ConceptFrequency(terms=terms))
            name = table.scores[0]
            np.testing.assert_allclose(
                table.column(name), [0, np.log10(3), np.nan, np.log10(3), np.nan, np.nan]
            )
            assert table.column(f"{name}.concepts").tolist() == [2, 1, 0, 1, 0, 0]

    def test_terms_that_are_elsewhere(self) -> None:
        with pytest.warns(UserWarning, match="100% of the documents hold no concept"):
            score(Examples.from_arrays(documents(5)), ConceptFrequency(terms="zebra"))

    def test_a_changed_list_of_terms_is_another_request(self, tmp_path: Path) -> None:
        path = tmp_path / "terms.txt"
        path.write_text("sea")
        before = repr(ConceptFrequency(terms=str(path)))
        path.write_text("fish")
        assert repr(ConceptFrequency(terms=str(path))) != before


class TestCounts:
    def parts(self, cuts: list[int], most: int) -> Counts:
        order = np.random.default_rng(len(cuts)).permutation(300)
        found: Counts | None = None
        for rows in np.split(order, cuts):
            more = count(Terms().holdings([TEXTS[row] for row in rows]), most)
            found = more if found is None else merge(found, more)
        assert found is not None
        return found

    @pytest.mark.parametrize("most", [1, 30, 1000])
    def test_parts_merge_to_the_whole(self, most: int) -> None:
        """Also where concepts are dropped on the way."""
        whole = count(Terms().holdings(TEXTS[:300]), most)
        assert len(whole["keys"]) == min(most, 180) or most == 1000
        for cuts in ([100, 200], [1, 2, 299], list(range(10, 300, 10))):
            found = self.parts(cuts, most)
            np.testing.assert_array_equal(found["keys"], whole["keys"])
            np.testing.assert_array_equal(found["documents"], whole["documents"])

    def test_what_is_kept_is_exact(self) -> None:
        held = Terms().holdings(TEXTS[:300])
        few = look_up(self.parts([50, 150], 30), held.keys_P)
        exact = look_up(count(held, 1000), held.keys_P)
        assert ((few == exact) | (few == 0)).all() and len(np.unique(held.keys_P[few > 0])) == 30

    def test_nothing(self) -> None:
        empty = count(Terms().holdings(["", "12"]), 5)
        assert not len(empty["keys"]) and look_up(empty, np.array([3])).tolist() == [0]
        assert len(merge(empty, count(Terms().holdings(["word"]), 5))["keys"]) == 1

    def test_by_hand(self) -> None:
        found = count_documents(["Red fish, red", "blue FISH"])
        assert found == {"red": 1, "fish": 2, "blue": 1}
        assert count_documents(["Red fish, red"], "red;red fish;cat") == {"cat": 0, "red": 1, "red fish": 1}


class TestLongTail:
    def test_table(self) -> None:
        found = long_tail({"b": 2, "a": 2, "c": 50, "d": 0}, below=10)
        assert found.concepts == ("c", "a", "b", "d") and found.count_K.tolist() == [50, 2, 2, 0]
        assert found.tail_share == 0.75
        assert long_tail(found.table()).concepts == found.concepts

    @pytest.mark.parametrize("s", [0.5, 1.0, 1.5])
    def test_exponent(self, s: float) -> None:
        expected = 1e6 * np.arange(1, 1001) ** -s
        assert zipf_exponent(expected.astype(np.int64)) == pytest.approx(s, abs=0.03)

    def test_exponent_of_few(self) -> None:
        assert np.isnan(zipf_exponent(np.array([5])))
        assert zipf_exponent(np.array([7, 7, 7])) == pytest.approx(0, abs=1e-9)

    @pytest.mark.parametrize("wrong", [{}, {"a": -1}, pa.table({"concept": ["a"]})])
    def test_no_counts(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match="long_tail: counts must"):
            long_tail(wrong)

    def test_accuracy_against_the_counts(self) -> None:
        """On Zipf's world, a classifier that is right in proportion to log count is found to be linear in it."""
        tail = long_tail(count_documents(TEXTS, ";".join(NAMES)))
        np.testing.assert_array_equal(tail.count_K, np.sort(COUNTS)[::-1])
        seen = tail.count_K > 0
        accuracy = np.where(seen, 0.1 + 0.2 * np.log10(np.maximum(tail.count_K, 1)), 0)
        noisy = np.clip(accuracy + np.random.default_rng(0).normal(0, 0.05, 200), 0, 1)
        fitted = concept_frequency(tail.table()["count"].to_numpy(), noisy, resamples=200)
        assert fitted.slope.value == pytest.approx(0.2, abs=0.03) and fitted.r_bins > 0.9


class TestRealCorpora:
    def test_counts_agree_between_corpora(self, data_dir: Path) -> None:
        """Words of both Brown and WikiText-2; corpora of pictures agree by .63 to .96 (Udandarao et al. 2024)."""
        counts = []
        for name in ("brown", "wikitext2_valid_test"):
            texts = pd.read_parquet(data_dir / f"corpora/{name}.parquet").text
            counts.append(count_documents(texts))
        shared = [name for name in counts[0] if counts[0][name] >= 5 and counts[1].get(name, 0) >= 5]
        rho = spearmanr([counts[0][name] for name in shared], [counts[1][name] for name in shared]).statistic
        assert len(shared) > 1000 and 0.5 < rho < 0.9
        tail = long_tail(counts[0])
        assert tail.tail_share > 0.5 and 0.5 < tail.exponent < 1.2
        assert Counter(tail.count_K.tolist()).most_common(1)[0][0] == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [({"over": "max"}, "over must be"), ({"min_documents": -1}, "min_documents must be"), ({"most": 0}, "most must be"),
     ({"terms": "nowhere.txt"}, "cannot be read"), ({"terms": ";"}, "at least one word")],
)  # fmt: skip
def test_options_out_of_range(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ConceptFrequency(**options)


def test_an_inverted_index_names_the_documents_that_the_counts_count() -> None:
    texts = documents(60)
    index = inverted_index(texts, [f"d{k}" for k in range(60)])
    assert {name: len(ids) for name, ids in index.items()} == count_documents(texts)
    for name, ids in index.items():
        held = [f"d{k}" for k, text in enumerate(texts) if name in text.lower().replace(".", "").split()]
        assert ids == held, name
    given = inverted_index(["Red fish, red", "blue FISH"], [7, 9], "fish;red fish;cat")
    assert given == {"cat": [], "fish": [7, 9], "red fish": [7]}
