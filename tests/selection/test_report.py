"""The selection report: every number against a slow obvious version, edge cases, and text that fits a terminal."""

import json
import time

import numpy as np
import pyarrow as pa
import pytest
from references import report_slow
from references.score_tables import random_table, shuffled, table_of

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import hash64
from scoring.lines import cut_to, one_line, width, wrapped
from scoring.table import ScoreTable
from selection.groups import read_groups
from selection.reporting.cut import beside, find_cuts, stability
from selection.reporting.histograms import histogram
from selection.reporting.overlap import chance_jaccard, correlations
from selection.reporting.report import report
from selection.reporting.shares import group_shares, length_shares, vanished
from selection.reporting.tails import discarded
from selection.reporting.weights import describe_weights
from selection.reporting.words import bar, number, percent
from selection.run import select
from selection.subset import Subset


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def two_scores(n=200, seed=0, **info):
    rng = np.random.default_rng(seed)
    loss = rng.gamma(2, size=n)
    data = {
        "id": np.arange(n),
        "loss": loss,
        "margin": -loss + rng.normal(size=n),
        "label": rng.integers(0, 4, n),
    }
    data["tokens"] = rng.integers(1, 60, n)
    columns = {"loss": {"meaning": "hard"}, "margin": {"meaning": "easy"}, "tokens": {"role": "side"}}
    return ScoreTable(pa.table(data), columns, info)


class TestShares:
    def test_groups_as_counted_one_by_one(self, rng):
        labels, kept = rng.integers(0, 6, 100), rng.random(100) < 0.2
        groups = read_groups(table_of(np.zeros(100)), labels)
        found = group_shares(groups, kept)
        assert {row["group"]: (row["rows"], row["kept"]) for row in found} == report_slow.kept_shares(
            labels.tolist(), kept
        )
        assert all(row["share"] == row["kept"] / row["rows"] for row in found)
        assert [row["rows"] for row in found] == sorted((row["rows"] for row in found), reverse=True)

    def test_names_of_classes_and_what_vanishes(self):
        groups = read_groups(table_of(np.zeros(5)), [0, 0, 1, 1, 2])
        found = group_shares(groups, np.array([1, 0, 0, 0, 1], bool), ["cat", "dog"])
        assert [row["group"] for row in found] == ["cat", "dog", 2]
        assert vanished(found) == ["dog"]

    @pytest.mark.parametrize(
        "make", [lambda r: r.integers(0, 9, 97), lambda r: r.normal(size=97), lambda r: np.ones(97)]
    )
    def test_length_buckets(self, rng, make):
        lengths, kept = make(rng).astype(float), rng.random(97) < 0.4
        found = length_shares(np.r_[lengths, np.nan], np.r_[kept, True])
        assert found["unknown"] == 1
        assert found["total"] == pytest.approx(sum(lengths))
        assert found["kept"] == pytest.approx(sum(x for x, k in zip(lengths, kept) if k))
        buckets = found["buckets"]
        edges = [buckets[0]["low"], *(row["high"] for row in buckets)]
        assert edges[0] == min(lengths) and edges[-1] == max(lengths)
        assert [(row["rows"], row["kept"]) for row in buckets] == report_slow.counts_between(
            lengths, kept, edges, upper=True
        )
        if len(set(lengths)) == 97:
            assert {row["rows"] for row in buckets} <= {19, 20}


class TestHistogram:
    def test_counts_and_edges(self, rng):
        scores = np.r_[rng.gamma(1, size=500), 1e6, np.nan, np.inf, -np.inf, -np.inf]
        kept = rng.random(505) < 0.3
        kept[[501, 502]] = True, False
        found = histogram(scores, kept)
        finite = np.isfinite(scores)
        assert len(found["edges"]) == 21
        assert found["edges"][0] == scores[finite].min() and found["edges"][-1] == 1e6
        assert found["edges"][-2] < 10, "an outlier must not empty the bins"
        inner = np.diff(found["edges"][1:-1])
        assert inner == pytest.approx(inner[0])
        counts = report_slow.counts_between(scores[finite], kept[finite], found["edges"], upper=False)
        assert list(zip(found["before"], found["after"])) == counts
        assert sum(found["before"]) == 501
        assert found["missing"] == {"rows": 1, "kept": 1}
        assert found["infinite"] == {"rows": 3, "kept": int(kept[502:].sum())}

    def test_a_score_on_an_edge_belongs_to_the_bin_above(self):
        scores = np.r_[-5.0, np.arange(21.0), 30]
        found = histogram(scores, scores < 7)
        assert found["edges"] == [-5, *range(1, 20), 30]
        assert found["before"] == [2] + [1] * 18 + [3]
        assert found["after"] == [2] + [1] * 6 + [0] * 13

    def test_constant_and_empty(self):
        found = histogram(np.full(4, 2.0), np.array([1, 0, 0, 1], bool))
        assert (found["edges"], found["before"], found["after"]) == ([2.0, 2.0], [4], [2])
        assert histogram(np.full(3, np.nan), np.zeros(3, bool))["edges"] == []

    def test_nearly_constant_scores_show_the_few_others(self):
        found = histogram(np.r_[np.zeros(5000), 1.0], np.r_[np.zeros(5000, bool), True])
        assert sum(found["before"]) == 5001 and found["before"][0] == 5000 and found["after"][-1] == 1


class TestOverlap:
    @pytest.mark.parametrize(
        ("n", "k", "m"), [(7, 3, 3), (8, 2, 5), (6, 6, 2), (9, 4, 0), (5, 5, 5), (9, 1, 1)]
    )
    def test_chance_as_enumerated(self, n, k, m):
        assert chance_jaccard(n, k, m)["mean"] == pytest.approx(report_slow.mean_jaccard(n, k, m))

    @pytest.mark.parametrize(("n", "k", "m"), [(1000, 100, 100), (5000, 40, 900), (3000, 2900, 2800)])
    def test_chance_by_exact_fractions(self, n, k, m):
        assert chance_jaccard(n, k, m)["mean"] == pytest.approx(
            report_slow.hypergeometric_jaccard(n, k, m), rel=1e-11
        )

    def test_chance_is_near_the_plain_formula_and_above_it(self):
        for n, k in ((10**6, 10**5), (10**8, 3 * 10**7)):
            mean = chance_jaccard(n, k, k)["mean"]
            assert k / (2 * n - k) <= mean == pytest.approx(k / (2 * n - k), rel=1e-4)
        assert chance_jaccard(10, 0, 0) is None

    def test_the_range_holds_95_of_100_random_subsets(self):
        table = table_of(np.zeros(400))
        one = set(select(table, take="random", keep=80, seed=-1).ids.tolist())
        expected = chance_jaccard(400, 80, 80)
        inside, values = 0, []
        for seed in range(400):
            other = set(select(table, take="random", keep=80, seed=seed).ids.tolist())
            values.append(len(one & other) / len(one | other))
            inside += expected["low"] <= values[-1] <= expected["high"]
        assert inside >= 0.93 * 400
        assert np.mean(values) == pytest.approx(expected["mean"], abs=4 * np.std(values) / 20)

    def test_with_the_end_of_a_second_score(self):
        table = two_scores()
        for take in ("hardest", "easiest", "highest", "lowest"):
            subset = select(table, by="loss", take=take, keep=30, seed=5)
            found = report(table, subset, versus="margin").document["overlap"]["versus"]
            other = set(select(table, by="margin", take=take, keep=30, seed=5).ids.tolist())
            mine = set(subset.ids.tolist())
            assert found["take"] == take and found["common"] == len(mine & other)
            assert found["jaccard"] == len(mine & other) / len(mine | other)
            assert found["chance"] == chance_jaccard(200, 30, 30)

    def test_ties_of_the_second_score_break_as_in_a_selection(self):
        table = random_table(n=80, strings=True)
        table = ScoreTable(
            table.table.append_column("t", table.table["s"]), {**table.columns, "t": {"meaning": "hard"}}
        )
        subset = select(table, by="s", take="hardest", keep=23, seed=3)
        assert report(table, subset, versus="t").document["overlap"]["versus"]["jaccard"] == 1

    def test_a_second_score_without_a_hard_end_or_with_gaps(self):
        values = np.arange(20.0)
        second = np.r_[np.full(15, np.nan), np.arange(5.0)]
        columns = {"s": values, "q": second}
        table = ScoreTable.from_columns(np.arange(20), columns, {"s": "hard", "q": "quality"})
        found = report(table, select(table, by="s", take="hardest", keep=10), versus="q").document
        second = found["overlap"]["versus"]
        assert (second["take"], second["rows"], second["common"]) == ("highest", 5, 5)
        assert second["jaccard"] == 0.5 and second["correlation"]["rows"] == 5

    def test_rank_correlations(self, rng):
        a, b = rng.integers(0, 6, 50).astype(float), rng.normal(size=50)
        b[:3] = np.nan
        found = correlations(a, b, "hard", "easy")
        assert found["turned"] and found["rows"] == 47
        assert found["kendall"] == pytest.approx(report_slow.kendall(a[3:], -b[3:]))
        plain = correlations(a, b, "hard", "quality")
        assert not plain["turned"] and plain["kendall"] == pytest.approx(-found["kendall"])
        assert plain["spearman"] == pytest.approx(-found["spearman"])
        assert correlations(a, np.ones(50), "hard", "hard")["kendall"] is None


class TestCut:
    def test_stretches_are_found_as_by_all_orders(self, rng):
        seen = {True: 0, False: 0}
        for _ in range(300):
            scores, kept = rng.integers(0, 4, 6).astype(float), rng.random(6) < 0.5
            if not 0 < kept.sum() < 6 or len(set(scores)) == 1:
                continue
            expected = report_slow.is_a_stretch(scores, kept)
            cuts = find_cuts(scores, kept)
            assert (cuts is not None) == expected
            seen[expected] += 1
            if cuts is not None:
                assert cuts.stop - cuts.first == kept.sum()
                assert np.array_equal(np.sort(scores[kept]), cuts.sorted_N[cuts.first : cuts.stop])
        assert min(seen.values()) > 50

    @pytest.mark.parametrize(
        ("scores", "kept", "sides"),
        [([1, 1, 1, 2], 1, ["upper"]), ([0, 1, 1, 1], 1, ["lower"]), ([0, 1, 1, 2], 1, ["lower", "upper"])],
    )
    def test_kept_rows_that_all_tie_with_dropped_ones(self, scores, kept, sides):
        cuts = find_cuts(np.array(scores, dtype=float), np.arange(4) == kept)
        assert [end["side"] for end in cuts.ends] == sides
        assert all(end["score"] == 1 and end["tied"]["kept"] == 1 for end in cuts.ends)

    def test_no_cut(self):
        for kept in ([True] * 4, [False] * 4):
            assert find_cuts(np.arange(4.0), np.array(kept)) is None
        assert find_cuts(np.ones(4), np.array([1, 0, 0, 1], bool)) is None
        assert find_cuts(np.empty(0), np.empty(0, bool)) is None

    @pytest.mark.parametrize(("first", "stop"), [(30, 40), (0, 7), (10, 25), (39, 40), (0, 1)])
    def test_stability_as_by_resampling(self, rng, first, stop):
        scores = rng.permutation(np.cumsum(rng.gamma(1, size=40)))
        kept = np.isin(scores, np.sort(scores)[first:stop])
        found = stability(find_cuts(scores, kept), 0, 20000)
        draws = report_slow.resampled(scores, first, stop, 4000, rng)
        mine = set(range(first, stop))
        overlaps = np.array([len(mine & places) / len(mine | places) for _, places in draws])
        assert found["overlap"]["mean"] == pytest.approx(
            overlaps.mean(), abs=5 * overlaps.std() / np.sqrt(4000)
        )
        sizes = [len(places) for _, places in draws]
        assert found["rows_95"] == pytest.approx(np.quantile(sizes, [0.025, 0.975]), abs=1.5)
        ranking = np.sort(scores)
        ends = [end for end, there in ((0, first > 0), (1, stop < 40)) if there]
        assert len(found["interval_95"]) == len(ends)
        for interval, end in zip(found["interval_95"], ends):
            expected = np.quantile([cuts[end] for cuts, _ in draws], [0.025, 0.975], method="inverted_cdf")
            moved = np.searchsorted(ranking, interval) - np.searchsorted(ranking, expected)
            assert np.abs(moved).max() <= 1

    def test_stability_belongs_to_the_seed(self):
        cuts = find_cuts(np.arange(50.0), np.arange(50) > 40)
        assert stability(cuts, 1, 100) == stability(cuts, 1, 100) != stability(cuts, 2, 100)

    @pytest.mark.parametrize("ties", [False, True])
    @pytest.mark.parametrize("take", ["highest", "lowest", "band"])
    def test_who_stands_beside_it(self, rng, take, ties):
        scores = (rng.integers(0, 5, 60) if ties else rng.normal(size=60)).astype(float)
        table = table_of(scores, rng.permutation(1000)[:60])
        options = {"low": 0.3, "high": 0.7} if take == "band" else {"keep": 17}
        subset = select(table, take=take, seed=7, **options)
        kept = np.isin(table.ids, subset.ids)
        sides = {"highest": ["lower"], "lowest": ["upper"], "band": ["lower", "upper"]}[take]
        cuts = find_cuts(scores, kept)
        assert [end["side"] for end in cuts.ends] == sides
        for side in sides:
            ascending = take != "highest"
            found = beside(scores, table.ids, kept, side, 4, 7, ascending)
            expected = report_slow.neighbours(
                scores, hash64(7, table.ids).tolist(), kept, ascending=ascending, side=side, count=4
            )
            assert [rows.tolist() for rows in found] == [list(rows) for rows in expected]

    def test_ties_at_the_cut_are_told(self):
        table = table_of([0.0, 1, 1, 1, 1, 2])
        found = report(table, select(table, take="hardest", keep=3))
        assert found.document["cut"]["ends"][0]["tied"] == {"rows": 4, "kept": 2}
        assert found.document["warnings"] == [
            "4 rows tie at the cut 1, 2 of them are kept: which of them is decided by hash, not by the score"
        ]

    @pytest.mark.parametrize(
        "options",
        [
            {"take": "random", "keep": 1},
            {"take": "random", "keep": 20},
            {"take": "hardest", "keep": 20, "balance": "equal"},
            {"take": "hardest", "keep": 200},
            {"take": "hardest", "keep": 0},
            {"take": "weighted", "keep": 3},
            {"take": "stratified", "keep": 10},
        ],
    )
    def test_selections_without_a_cut_say_so(self, options):
        table = two_scores()
        found = report(table, select(table, by="loss", **options), by="loss")
        assert found.document["cut"] is None
        assert "No cut" in found.text()

    def test_a_given_threshold_does_not_move(self):
        table = two_scores()
        found = report(table, select(table, by="loss", take="threshold", at_least=2.0))
        assert found.document["cut"]["fixed"] and found.document["cut"]["stability"] is None
        assert "The threshold was given" in found.text()


class TestTails:
    def test_shares_as_over_all_orders(self, rng):
        for _ in range(10):
            scores, kept = rng.integers(0, 4, 6).astype(float), rng.random(6) < 0.5
            found = discarded(scores, kept, True)
            assert [tail["rows"] for tail in found["tails"]["hardest"]] == [1, 1, 1]
            assert found["tails"]["hardest"][0]["dropped"] == pytest.approx(
                report_slow.dropped_of_tail(scores, kept, 1)
            )
            assert found["tails"]["easiest"][0]["dropped"] == pytest.approx(
                report_slow.dropped_of_tail(-scores, kept, 1)
            )

    def test_ends_and_mass(self):
        scores = np.arange(1000.0)
        kept = scores >= 950
        found = discarded(scores, kept, True)
        assert [tail["dropped"] for tail in found["tails"]["hardest"]] == [0, 0, 0.5]
        assert [tail["dropped"] for tail in found["tails"]["easiest"]] == [1, 1, 1]
        assert found["rows"] == 0.95
        assert found["mass"] == pytest.approx(scores[:950].sum() / scores.sum())
        easy = discarded(scores, kept, False)
        assert easy["tails"]["hardest"] == found["tails"]["easiest"]
        assert list(discarded(scores, kept, None)["tails"]) == ["highest", "lowest"]

    @pytest.mark.parametrize("values", [[-1.0, 2.0], [np.inf, 1.0], [0.0, 0.0]])
    def test_no_mass_where_a_sum_has_no_shares(self, values):
        assert discarded(np.array(values), np.array([True, False]), True)["mass"] is None

    def test_mass_of_scores_whose_sum_is_beyond_floats(self):
        huge = np.array([1e308, 1.5e308, 1.5e308])
        assert discarded(huge, np.array([True, True, False]), True)["mass"] == pytest.approx(0.375)


class TestWeights:
    def test_effective_sample_size(self):
        def found(weights):
            return describe_weights(Subset.from_ids(np.arange(len(weights)), weights))

        assert found([2.0, 2.0, 2.0])["effective"] == pytest.approx(3)
        assert found([1.0, 2.0, 3.0])["effective"] == pytest.approx(36 / 14)
        assert found([1.0, 2.0, 3.0])["largest_share"] == pytest.approx(0.5)
        assert found([1e200, 1e200, 1e-200])["effective"] == pytest.approx(2)
        assert found([0.0, 4.0]) | {"probability": None} == {
            "effective": 1.0, "largest_share": 1.0, "weight": [0.0, 4.0], "probability": None, "zero": 1
        }  # fmt: skip
        assert found([0.0, 0.0])["effective"] is None and found([])["weight"] is None

    def test_heavy_weights_warn(self):
        table = table_of(np.arange(10.0))
        found = report(table, Subset.from_ids(np.arange(5), [100.0, 1, 1, 1, 1]))
        assert found.document["warnings"] == ["the weights make the 5 kept rows worth 1 equal ones"]
        assert "effective sample size 1.1 of 5" in found.text()


class TestReport:
    def test_the_document_is_plain_json_and_names_what_it_speaks_of(self, rng):
        table = two_scores(label_names=["a", "b", "c", "d"])
        subset = select(table, by="loss", keep="10%", balance="none")
        found = report(table, subset, versus="margin", domain=rng.choice(["x", "y"], 200))
        document = found.to_json()
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert (document["rows"], document["kept"], document["share"]) == (200, 20, 0.1)
        assert {row["group"] for row in document["classes"]["groups"]} == {"a", "b", "c", "d"}
        assert {row["group"] for row in document["domains"]["groups"]} == {"x", "y"}
        assert document["lengths"]["column"] == "tokens"
        assert document["cut"]["ends"][0]["score"] == np.sort(table.column("loss"))[-20]

    def test_row_order_changes_nothing(self):
        table = two_scores()
        subset = select(table, by="loss", keep="10%", seed=2)
        texts = {id_: f"text {id_}" for id_ in table.ids.tolist()}
        mixed = shuffled(table)
        one = report(table, subset, versus="margin", examples=[texts[i] for i in table.ids.tolist()])
        two = report(mixed, subset, versus="margin", examples=[texts[i] for i in mixed.ids.tolist()])
        assert one.text() == two.text()

    def test_row_order_changes_no_bit(self):
        values = np.random.default_rng(0).exponential(size=200)
        table = table_of(values, label=pa.array(np.arange(200) % 3))
        for take, weight in (("hardest", "one"), ("softmax", "inverse")):
            subset = select(table, take=take, keep=50, weight=weight)
            one = report(table, subset).to_json()
            for seed in range(5):
                mixed = shuffled(table, seed)
                assert (
                    report(
                        mixed,
                        Subset(subset.table.take(np.random.default_rng(seed).permutation(50)), subset.info),
                    ).to_json()
                    == one
                )

    def test_from_files(self, tmp_path):
        table = two_scores()
        subset = select(table, by="loss", keep=20, out=tmp_path / "subset.parquet")
        table.write(tmp_path / "scores.parquet")
        found = report(tmp_path / "scores.parquet", str(tmp_path / "subset.parquet"))
        assert found.to_json() == report(table, subset).to_json()

    def test_what_vanishes_is_said_first(self):
        table = table_of(np.arange(40.0), label=pa.array([0] * 20 + [1] * 20))
        found = report(table, select(table, keep=10), domain=["x"] * 5 + ["y"] * 35)
        assert found.document["warnings"][:2] == ["1 of 2 classes vanish: 0", "1 of 2 domains vanish: 'x'"]
        lines = found.text().splitlines()
        assert lines[3] == "WARNING: 1 of 2 classes vanish: 0"
        assert sum("NONE" in line for line in lines) == 2

    def test_examples_of_any_kind(self):
        data = Examples.from_arrays(
            [f"text\nnumber\t{i}" for i in range(30)], np.arange(30) % 3, ids=np.arange(30)
        )
        table = ScoreTable.from_columns(
            data.ids, {"s": np.arange(30.0)}, "hard", {"fingerprint": data.fingerprint}
        )
        subset = select(table, keep=10)
        found = report(table, subset, examples=data)
        end = found.document["cut"]["ends"][0]
        assert [row["id"] for row in end["just_kept"]] == [20, 21, 22]
        assert [row["id"] for row in end["just_dropped"]] == [19, 18, 17]
        assert end["just_kept"][0]["example"] == data.describe_row(20)
        assert found.document["classes"]["groups"][0]["rows"] == 10, "labels of the examples"
        texts = report(table, subset, examples=data.texts(np.arange(30)), around=1).document
        assert [row["example"] for row in texts["cut"]["ends"][0]["just_kept"]] == ["text\nnumber\t20"]

    def test_rows_without_a_score(self):
        values = np.r_[np.full(4, np.nan), np.arange(16.0)]
        table = table_of(values)
        found = report(table, select(table, keep=8, nan="keep")).document
        assert found["histogram"]["missing"] == {"rows": 4, "kept": 4}
        assert found["cut"]["ends"][0]["score"] == 12
        none = report(table_of(np.full(3, np.nan)), Subset.from_ids([0]))
        assert none.document["cut"] is None and "3 rows without a score, 1 of them kept" in none.text()

    @pytest.mark.parametrize("n", [0, 1, 2])
    @pytest.mark.parametrize("take", ["hardest", "random"])
    def test_tiny_tables(self, n, take):
        table = table_of(np.arange(float(n)))
        for k in range(n + 1):
            subset = (
                Subset.from_ids(np.arange(k)) if take == "hardest" else select(table, take="random", keep=k)
            )
            found = report(table, subset, versus="s")
            json.dumps(found.to_json(), allow_nan=False)
            assert found.text().startswith(f"kept {k} of {n} rows")

    def test_copies_are_told(self):
        table = table_of(np.arange(20.0), label=pa.array([0] * 16 + [1] * 4))
        subset = select(table, keep=16, balance="mixture", alpha=0.0, max_copies=2)
        found = report(table, subset)
        assert found.document["copies"] == 16 and found.document["weights"]["weight"] == [1, 2]
        assert found.text().startswith("kept 12 of 20 rows (60.0%), 16 with copies")

    def test_infinite_scores(self):
        table = table_of(np.r_[np.arange(10.0), np.inf, -np.inf])
        found = report(table, select(table, keep=1))
        assert found.to_json()["cut"]["ends"][0]["score"] == "inf"
        assert "2 rows with an infinite score, 1 of them kept" in found.text()

    def test_without_a_score_there_are_no_sections_on_it(self):
        table = two_scores()
        found = report(table, select(table, take="random", keep=20, weight="inverse"))
        assert found.document["by"] is None and "cut" not in found.document
        assert "Weights all 10, inclusion probabilities all 0.1" in found.text()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"by": "los"}, "by must be one of .*Did you mean 'loss'"),
            ({"versus": "margn"}, "versus must be one of .*Did you mean 'margin'"),
            ({"lengths": "token"}, "lengths must be one of .*Did you mean 'tokens'"),
            ({"around": 0}, "around must be a whole number from 1, got 0"),
            ({"bootstrap": 2.5}, "bootstrap must be a whole number from 1"),
            ({"groups": "domain"}, "column must be one of"),
            ({"domain": ["x"]}, r"one per row of the table \(200\)"),
            ({"examples": ["x"]}, r"one text per row of the table \(200\)"),
        ],
    )
    def test_errors_are_one_sentence(self, options, words):
        table = two_scores()
        with pytest.raises(InputError, match=words) as error:
            report(table, select(table, by="loss", keep=20), **options)
        assert "\n" not in str(error.value)

    def test_scores_of_other_data_and_ids_that_are_not_there(self):
        one, other = two_scores(fingerprint="1-aa"), two_scores(fingerprint="1-bb")
        with pytest.raises(
            InputError, match="table must be of the data the subset is from, 1-aa, got '1-bb'"
        ):
            report(other, select(one, by="loss", keep=20))
        with pytest.raises(InputError, match="got 1 that are not there: 777"):
            report(two_scores(), Subset.from_ids([3, 777]))
        table = two_scores()
        with pytest.raises(InputError, match="by must name the score that versus is compared with"):
            report(table, select(table, take="random", keep=20), versus="loss")


class TestText:
    def test_lines_fit_whatever_names_and_texts_hold(self, rng):
        nasty = "\x1b[31mred\x07\r\n \u202e 中文字符" * 30
        names = [f"{nasty} {i}" for i in range(40)]
        values = np.r_[rng.normal(size=395) * 1e-300, 1e300, -1e300, np.inf, np.nan, 0]
        data = {"id": pa.array([f"{nasty} {i}" for i in range(400)]), nasty: values, "other" * 30: -values}
        data["label"] = rng.integers(0, 40, 400)
        data["tokens"] = rng.integers(0, 10**15, 400)
        columns = {nasty: {"meaning": "hard"}, "other" * 30: {"meaning": "easy"}, "tokens": {"role": "side"}}
        table = ScoreTable(pa.table(data), columns, {"label_names": names})
        for options in ({"take": "hardest"}, {"take": "band"}, {"take": "random", "weight": "inverse"}):
            subset = select(table, by=nasty, keep=30, nan="drop", **options)
            text = report(table, subset, by=nasty, versus="other" * 30, examples=[nasty] * 400).text()
            assert max(width(line) for line in text.splitlines()) <= 100
            assert all(c.isprintable() or c == "\n" for c in text)
            assert all(line == line.rstrip() for line in text.splitlines())

    def test_few_groups_are_all_shown_and_many_by_their_ends(self):
        table = table_of(np.arange(210.0))
        for count, shown in ((20, 20), (21, 17)):
            text = report(table, select(table, keep=100), groups=np.arange(210) % count).text()
            block = text.split("\n\n")[1].splitlines()
            assert len(block) == 2 + shown

    def test_small_pieces(self):
        assert one_line("a\n b\t\x1bc") == "a b \\x1bc"
        assert (width("ab"), width("中文"), width("e\u0301")) == (2, 4, 1)
        assert (cut_to("abcdef", 5), cut_to("abcde", 5), cut_to("中文中文", 5)) == ("ab...", "abcde", "中...")
        assert wrapped("aa bb cc", 5, " ") == ["aa bb", " cc"]
        assert (percent(0.5), percent(1e-9), percent(1 - 1e-9), percent(0), percent(1)) == (
            "50.0%", "<0.1%", ">99.9%", "0.0%", "100.0%"
        )  # fmt: skip
        assert (number(12345.0), number(0.123456), number(2e12)) == ("12,345", "0.1235", "2e+12")
        assert (bar(0.5, 4), bar(1, 4), bar(0, 4), bar(1e-9, 4)) == ("██  ", "████", "    ", "▏   ")


def test_a_million_rows_take_seconds():
    n = 10**6
    rng = np.random.default_rng(0)
    loss = rng.gamma(2, size=n)
    columns = {"loss": loss, "other": loss + rng.normal(size=n)}
    table = ScoreTable.from_columns(np.arange(n), columns, "hard")
    subset = select(table, by="loss", keep="10%")
    started = time.perf_counter()
    report(table, subset, versus="other", groups=rng.integers(0, 1000, n)).text()
    assert time.perf_counter() - started < 20
