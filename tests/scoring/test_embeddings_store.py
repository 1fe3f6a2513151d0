"""Embeddings on disk: the same bytes after an interruption, read by id, and as signals of documents."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.tiny_encoders import save_bert

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import make_provider
from scoring.embeddings import write
from scoring.embeddings.hashed import HashedEncoder
from scoring.embeddings.opening import open_encoder
from scoring.embeddings.store import EmbeddingStore
from scoring.embeddings.texts import embed_texts
from scoring.embeddings.write import embed
from scoring.errors import InputError, OutputTakenError
from scoring.examples import Examples
from scoring.files import read_json
from scoring.needs import Embeddings
from scoring.table import ScoreTable
from selection.material import read_embeddings

WORDS = ["sea", "boat", "wall", "fish", "stone", "men", "market", "calm", "north", "wind"]
TEXTS = ["", *(" ".join(np.random.default_rng(k).choice(WORDS, 1 + k % 9)) for k in range(99))]
IDS = [f"doc-{(k * 37) % 100}" for k in range(100)]
EXAMPLES = Examples.load({"text": TEXTS, "id": IDS}, text="text", id="id")
FORMATS = pytest.mark.parametrize("format", ["parquet", "npy"])


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch) -> None:
    monkeypatch.setattr(write, "CHUNK_ROWS", 16)
    monkeypatch.setattr(write, "SHARD_ROWS", 40)


class Failing(HashedEncoder):
    """Gives up after some chunks, and counts them."""

    def encode(self, documents: Documents):
        calls.append(len(documents))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return super().encode(documents)


calls: list[int] = []


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


@FORMATS
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_written_is_read_by_id(tmp_path, format, dtype) -> None:
    store = embed(EXAMPLES, "hashed(dim=32)", tmp_path / "out", dtype=dtype, format=format)
    expected = embed_texts(TEXTS, "hashed(dim=32)")
    again = EmbeddingStore.open(tmp_path / "out")
    assert len(again) == 100 and again.width == 32 and again.array.dtype == dtype
    assert isinstance(again.array, np.memmap) and not again.array.flags.writeable
    assert again.ids.tolist() == IDS and again.encoder == HashedEncoder(dim=32).describe()
    np.testing.assert_array_equal(again.array, expected.astype(dtype))
    wanted = ["doc-5", "doc-99", "doc-0"]
    np.testing.assert_array_equal(
        again.vectors_of(wanted), expected.astype(dtype)[[IDS.index(i) for i in wanted]]
    )
    assert again.vectors_of(wanted).dtype == np.float32 and store.digest == again.digest
    with pytest.raises(InputError, match="lack 2 of 3: 'x', 'y'"):
        again.vectors_of(["x", "doc-1", "y"])
    assert not (tmp_path / "out.parts").exists()
    costs = read_json(tmp_path / "out.costs.json")["signals"]["embeddings"]
    assert (
        costs["documents"] == 100
        and costs["tokens"] == read_json(tmp_path / "out" / "manifest.json")["tokens"]
    )


@FORMATS
def test_an_interrupted_job_goes_on_to_the_same_bytes(tmp_path, format) -> None:
    calls.clear()
    embed(EXAMPLES, HashedEncoder(), tmp_path / "whole", format=format)
    with pytest.raises(KeyboardInterrupt):
        embed(EXAMPLES, Failing(), tmp_path / "out", format=format)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputTakenError, match=r"embed: .* unfinished work of a different call"):
        embed(EXAMPLES, "hashed(seed=1)", tmp_path / "out", format=format)
    (tmp_path / ".out.elsewhere-1.tmp").mkdir()  # what a killed writer leaves
    calls[:] = [0] * 10
    embed(EXAMPLES, Failing(), tmp_path / "out", format=format)
    assert calls[10:] == [16, 16, 16, 4]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert read_json(tmp_path / "out.costs.json")["signals"]["embeddings"]["documents"] == 100
    assert {path.name for path in tmp_path.iterdir()} == {
        "out",
        "whole",
        "out.costs.json",
        "whole.costs.json",
    }


def test_a_finished_folder_is_opened_and_another_request_refused(tmp_path) -> None:
    out = tmp_path / "out"
    embed(EXAMPLES, HashedEncoder(), out)
    calls[:] = [0] * 10
    embed(EXAMPLES, Failing(), out)
    assert len(calls) == 10  # nothing was encoded
    for other in (
        {"encoder": "hashed(dim=16)"},
        {"dtype": "float32"},
        {"format": "npy"},
        {"examples": EXAMPLES.take([3, 1])},
    ):
        with pytest.raises(OutputTakenError, match="embeddings of another call"):
            embed(**{"examples": EXAMPLES, "encoder": "hashed", "out": out, **other})
    assert len(embed(EXAMPLES.take([3, 1]), "hashed", out, overwrite=True)) == 2
    (tmp_path / "table").mkdir()
    with pytest.raises(OutputTakenError, match="holds no embeddings"):
        embed(EXAMPLES, "hashed", tmp_path / "table", overwrite=True)
    with pytest.raises(InputError, match="dtype must be one of"):
        embed(EXAMPLES, "hashed", tmp_path / "x", dtype="int8")
    with pytest.raises(InputError, match="format must be one of"):
        embed(EXAMPLES, "hashed", tmp_path / "x", format="csv")
    with pytest.raises(InputError, match=r"made by Examples\.load"):
        embed("file.parquet", "hashed", tmp_path / "x")  # type: ignore[arg-type]
    assert not (tmp_path / "x.parts").exists()


def test_truncated_texts_are_marked(tmp_path) -> None:
    encoder = f"{save_bert(tmp_path / 'bert')}(max_length=8)"
    embed(EXAMPLES, encoder, tmp_path / "out")
    rows = pa.concat_tables(
        pq.read_table(file) for file in sorted((tmp_path / "out").glob("*.parquet"))
    ).to_pydict()
    expected = open_encoder(encoder).encode(Documents(EXAMPLES, np.arange(100)))
    assert rows["truncated"] == expected.truncated_B.tolist() and 0 < sum(rows["truncated"]) < 100
    assert rows["tokens"] == expected.tokens_B.tolist()
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["truncated"] == sum(rows["truncated"])
    assert [shard["rows"] for shard in manifest["shards"]] == [40, 40, 20]


def test_vectors_that_are_not_finite_are_refused(tmp_path) -> None:
    class Huge(HashedEncoder):
        def encode(self, documents: Documents):
            found = super().encode(documents)
            found.vectors_BD[3] = 1e6
            return found

    with pytest.raises(InputError, match=r"too large for float16 \(dtype='float32'\) for ids 'doc-11'"):
        embed(EXAMPLES, Huge(), tmp_path / "out")
    assert len(embed(EXAMPLES, Huge(), tmp_path / "out", dtype="float32")) == 100


def test_files_of_others_are_read(tmp_path) -> None:
    vectors = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    np.save(tmp_path / "mine.npy", vectors)
    with pytest.raises(InputError, match=r"its ids in 'mine\.ids\.npy'"):
        EmbeddingStore.open(tmp_path / "mine.npy")
    np.save(tmp_path / "mine.ids.npy", np.arange(100)[::-1])
    assert (EmbeddingStore.open(tmp_path / "mine.npy").vectors_of([99, 0]) == vectors[[0, 99]]).all()
    table = pa.table({"id": IDS, "embedding": [row.tolist() for row in vectors]})
    pq.write_table(table, tmp_path / "mine.parquet")
    found = EmbeddingStore.open(tmp_path / "mine.parquet")
    np.testing.assert_array_equal(found.vectors_of(IDS[:3]), vectors[:3])
    assert found.encoder is None
    ragged = pa.table({"id": IDS[:2], "embedding": [[1.0, 2.0], [3.0]]})
    pq.write_table(ragged, tmp_path / "ragged.parquet")
    with pytest.raises(InputError, match="lists of equally many floats"):
        _ = EmbeddingStore.open(tmp_path / "ragged.parquet").array
    pq.write_table(ragged.select(["embedding"]), tmp_path / "no_ids.parquet")
    with pytest.raises(InputError, match="columns embedding and id, got embedding"):
        EmbeddingStore.open(tmp_path / "no_ids.parquet")
    with pytest.raises(FileNotFoundError, match="no embeddings at"):
        EmbeddingStore.open(tmp_path / "absent")
    with pytest.raises(InputError, match="has no manifest"):
        EmbeddingStore.open(tmp_path)
    np.save(tmp_path / "short.npy", vectors[:5])
    np.save(tmp_path / "short.ids.npy", np.arange(4))
    with pytest.raises(InputError, match=r"must be floats \(4, D\)"):
        _ = EmbeddingStore.open(tmp_path / "short.npy").array


@FORMATS
def test_selection_matches_a_folder_by_id(tmp_path, format) -> None:
    embed(EXAMPLES, "hashed", tmp_path / "out", format=format, dtype="float32")
    order = np.random.default_rng(1).permutation(100)[:60]
    expected = embed_texts([TEXTS[k] for k in order])

    def table(rows) -> ScoreTable:
        return ScoreTable.from_columns(EXAMPLES.ids[rows], {"s": np.zeros(len(rows))}, {"s": "arbitrary"})

    np.testing.assert_array_equal(read_embeddings(tmp_path / "out", table(order)), expected)
    assert isinstance(read_embeddings(tmp_path / "out", table(np.arange(100))), np.memmap)
    with pytest.raises(InputError, match=r"select: embeddings .* lack 1 of 1: 'x'"):
        read_embeddings(
            tmp_path / "out", ScoreTable.from_columns(np.array(["x"]), {"s": np.zeros(1)}, {"s": "arbitrary"})
        )


def provider(need: Embeddings | None = None, **options):
    return make_provider(need or Embeddings(), CorpusModels.of(options), None)


def test_the_provider_takes_the_scorer_s_encoder_then_that_of_the_source() -> None:
    documents = Documents(EXAMPLES, np.arange(10))
    of_source = provider(encoder="hashed(dim=16)")
    (vectors,) = of_source.values(documents)
    np.testing.assert_array_equal(vectors, embed_texts(TEXTS[:10], "hashed(dim=16)"))
    spent = of_source.spent(documents, (vectors,))
    assert spent["tokens"] > 0 and spent["flops"] == 16 * spent["tokens"]
    own = provider(Embeddings(encoder="hashed(dim=8)"), encoder="hashed")
    assert own.values(documents)[0].shape == (10, 8)
    assert own.describe() == HashedEncoder(dim=8).describe()
    with pytest.raises(InputError, match=r"score: encoder must be given: minilm, hashed \(no download\)"):
        provider()
    with pytest.raises(InputError, match="encoder must be one of"):
        provider(encoder="mini")


def test_stored_vectors_serve_documents_as_they_were_embedded(tmp_path) -> None:
    embed(EXAMPLES, "hashed", tmp_path / "out", dtype="float32")
    stored = provider(embeddings=tmp_path / "out")
    some = Documents(EXAMPLES, np.array([5, 3, 99]))
    np.testing.assert_array_equal(stored.values(some)[0], embed_texts([TEXTS[5], TEXTS[3], TEXTS[99]]))
    assert not stored.keeps and stored.spent(some, ()) == {}

    changed = Examples.load(
        {"text": ["sea", "ship", TEXTS[7]], "id": ["new", IDS[0], IDS[7]]}, text="text", id="id"
    )
    here = Documents(changed, np.arange(3))
    with pytest.raises(InputError, match=r"of 3 2 are absent or had another text: 'new', 'doc-0'\."):
        stored.values(here)
    both = provider(embeddings=tmp_path / "out", encoder="hashed")
    np.testing.assert_array_equal(both.values(here)[0], embed_texts(["sea", "ship", TEXTS[7]]))
    assert both.spent(here, ())["tokens"] == 2
    assert both.describe() == stored.describe()
    with pytest.raises(InputError, match="are not by the encoder 'hashed"):
        provider(embeddings=tmp_path / "out", encoder="hashed(dim=8)")
    with pytest.raises(FileNotFoundError, match="no embeddings at"):
        provider(embeddings=tmp_path / "absent")
