"""RACE sketches: hashes collide as their kernel says, sums are near exact ones, sketches add up and are kept."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from references.density_slow import collision
from references.looked_at import look_and_score
from scipy.stats import spearmanr
from torch import Tensor

from scoring.density.hashes import Hashes, make_hashes
from scoring.density.kernel_sums import Anchors
from scoring.density.kernels import Kernel, power
from scoring.density.sketch import RaceSketch
from scoring.density.space import Space
from scoring.errors import InputError
from scoring.scorers.density import Density

KERNELS = [Kernel("angular", 1), Kernel("angular", 4), Kernel("l2", 1, 0.8), Kernel("l2", 3, 2.0)]


def points(rows: int = 3000, width: int = 24, seed: int = 0) -> Tensor:
    """Unit rows in clusters of very different sizes."""
    rng = np.random.default_rng(seed)
    sizes = rng.zipf(1.6, size=60).clip(max=400)
    labels = rng.choice(60, p=sizes / sizes.sum(), size=rows)
    centres = rng.normal(size=(60, width))
    found = torch.from_numpy(centres[labels] + 0.6 * rng.normal(size=(rows, width)))
    return found / found.norm(dim=1, keepdim=True)


def sketch_of(rows: Tensor, kernel: Kernel, hashes: int, buckets: int = 20_000, seed: int = 0) -> RaceSketch:
    made = make_hashes(kernel, hashes, buckets, rows.shape[1], seed)
    return RaceSketch.empty(made).with_rows(rows.split(500))


def exact(rows: Tensor, kernel: Kernel, queries: int) -> np.ndarray:
    """Mean kernel value of the first rows to all others."""
    keys = torch.arange(len(rows))
    return Anchors(kernel, rows, keys).means(rows[:queries], keys[:queries]).numpy()


class TestKernels:
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_against_formulas(self, kernel: Kernel) -> None:
        rows = points(12)
        expected = [
            [collision(kernel.kind, kernel.width, x, y) ** kernel.concatenations for y in rows.numpy()]
            for x in rows.numpy()
        ]
        np.testing.assert_allclose(kernel.between(rows, rows).numpy(), expected, rtol=1e-6)

    @pytest.mark.parametrize("kernel", KERNELS)
    def test_hashes_collide_as_often_as_the_kernel_says(self, kernel: Kernel) -> None:
        rows = points(8)
        codes = Hashes(kernel, 20_000, 1 << 20, rows.shape[1]).codes(rows)
        shares = (codes[:, :, None] == codes[:, None, :]).double().mean(0).numpy()
        np.testing.assert_allclose(shares, kernel.between(rows, rows).numpy(), atol=0.015)

    def test_l2_of_lengths_other_than_one(self) -> None:
        rows = points(6) * torch.tensor([0.0, 0.1, 1.0, 3.0, 10.0, 1.0])[:, None]
        expected = [[collision("l2", 1.5, x, y) for y in rows.numpy()] for x in rows.numpy()]
        np.testing.assert_allclose(Kernel("l2", 1, 1.5).between(rows, rows).numpy(), expected, rtol=1e-6)

    @pytest.mark.parametrize("exponent", [1, 2, 3, 7, 8, 13, 64])
    def test_power(self, exponent: int) -> None:
        base = torch.rand(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        kept = base.clone()
        torch.testing.assert_close(power(base, exponent), base**exponent, rtol=1e-13, atol=0.0)
        assert torch.equal(base, kept)


class TestAgainstExact:
    @pytest.mark.parametrize("kernel", [Kernel("l2", 1, 1.0), Kernel("angular", 2)])
    def test_order_and_error(self, kernel: Kernel) -> None:
        """200 queries; at R = 1,000 a Spearman correlation of .95 and an error of 2 %, both worse with fewer."""
        rows = points()
        expected = exact(rows, kernel, 200)
        found = [
            sketch_of(rows, kernel, hashes).means(rows[:200], inside=True).numpy()
            for hashes in (50, 200, 1000)
        ]
        correlations = [float(spearmanr(each, expected).statistic) for each in found]
        errors = [float(np.abs(each / expected - 1).mean()) for each in found]
        assert correlations[2] >= 0.95 and errors[2] <= 0.02
        assert correlations == sorted(correlations) and errors == sorted(errors, reverse=True)

    def test_the_scorer(self) -> None:
        rows = points().float().numpy()
        whole = look_and_score(Density(concatenations=4), rows)[1]
        sketched = look_and_score(Density(method="sketch", concatenations=4), rows, parts=5)[1]
        assert spearmanr(whole, sketched).statistic >= 0.95
        assert np.abs(sketched / whole - 1).mean() <= 0.04

    def test_folded_buckets_are_corrected(self) -> None:
        rows, kernel = points(), Kernel("l2", 3, 1.5)
        expected = exact(rows, kernel, 300)
        sketch = sketch_of(rows, kernel, 1000, buckets=40)
        assert sketch.hashes.folded
        raw = (sketch.counts(rows[:300]).numpy() - 1) / (len(rows) - 1)
        assert abs(sketch.means(rows[:300], inside=True).numpy().mean() / expected.mean() - 1) < 0.02
        assert raw.mean() / expected.mean() > 1.1

    @pytest.mark.parametrize("buckets", [255, 256])
    def test_sign_bits_that_fit_are_not_folded(self, buckets: int) -> None:
        hashes = Hashes(Kernel("angular", 8), 3, buckets, 5)
        assert hashes.folded == (buckets < 256) and hashes.used_buckets == buckets


class TestSketches:
    @pytest.mark.parametrize("kernel", KERNELS)
    def test_sketches_add_up(self, kernel: Kernel) -> None:
        rows = points(1000)
        both, a, b = (sketch_of(part, kernel, 30) for part in (rows, rows[:317], rows[317:]))
        for merged in (a.merged(b), b.merged(a), a.with_rows([rows[317:]])):
            assert torch.equal(merged.counts_RB, both.counts_RB) and merged.count == both.count == 1000
        assert a.count == 317 and int(a.counts_RB.sum()) == 317 * 30

    def test_kept_on_disk(self, tmp_path: Path) -> None:
        rows = points(500).float()
        space = Space.of(rows, 8, centre=True)
        hashes = make_hashes(Kernel("angular", 5), 40, 100, 9, 3)
        sketch = RaceSketch.empty(hashes, space).with_rows([rows])
        sketch.save(tmp_path / "sketch")
        assert {path.name for path in tmp_path.iterdir()} == {"sketch.safetensors", "sketch.json"}
        loaded, new = RaceSketch.load(tmp_path / "sketch"), points(60, seed=1).float()
        assert torch.equal(loaded.means(new, inside=False), sketch.means(new, inside=False))
        assert torch.equal(loaded.merged(sketch).counts_RB, 2 * sketch.counts_RB)

    def test_new_rows(self) -> None:
        """A row of the sketch leaves itself out, the same row as a new one does not; nobody near: 1 / (R N)."""
        rows, kernel = points(200), Kernel("angular", 20)
        sketch = sketch_of(rows, kernel, 50, buckets=1 << 20)
        inside, outside = (sketch.means(rows, inside=inside) for inside in (True, False))
        assert (outside >= inside).all() and (outside >= 1 / 200).all()
        assert sketch.means(-rows[:5], inside=False).min() == pytest.approx(1 / (50 * 200))

    @pytest.mark.parametrize("other", ["seed", "kernel", "space"])
    def test_different_ones_do_not_add_up(self, other: str) -> None:
        rows = points(50)
        sketch = sketch_of(rows, Kernel("angular", 2), 5)
        others = {
            "seed": sketch_of(rows, Kernel("angular", 2), 5, seed=1),
            "kernel": sketch_of(rows, Kernel("angular", 3), 5),
            "space": replace(sketch, space=Space.of(rows, 8)),
        }
        with pytest.raises(InputError, match="do not add up"):
            sketch.merged(others[other])

    def test_no_sketch(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="no sketch at"):
            RaceSketch.load(tmp_path / "none")
        (tmp_path / "torn.safetensors").write_bytes(b"123")
        (tmp_path / "torn.json").write_text("{}")
        with pytest.raises(InputError, match="no sketch at"):
            RaceSketch.load(tmp_path / "torn")
