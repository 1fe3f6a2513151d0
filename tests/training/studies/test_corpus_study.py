"""The corpus study: equal steps whatever is kept, budgets met, held-out texts unseen, from YAML to the table."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from scoring.engines.local import Local
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.files import read_json
from scoring.hashing import hash_ids
from training.cells import CellsFailed
from training.pretraining.tokenizer import ByteTokenizer
from training.studies import corpus as studying
from training.studies.corpus import CorpusStudy
from training.studies.corpus_data import read_corpus_data
from training.studies.outcomes import outcomes
from training.studies.running import run_study
from training.studies.sizes import study_effective_sizes
from training.studies.study_file import make_study, read_study

OPTIONS: dict[str, Any] = {
    "tokens": 300, "models": [8], "device": "cpu", "held_out_tokens": 200, "seeds": [0],
    "train_settings": {"length": 16, "batch_tokens": 64, "evaluate_at": ()},
}  # fmt: skip


def words(letters: str, count: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng([seed, *letters.encode()])
    return ["".join(rng.choice(list(letters), rng.integers(5, 30))) for _ in range(count)]


def texts(letters: str, count: int, seed: int = 0) -> Examples:
    return Examples.from_arrays(words(letters, count, seed))


VOWELS, OTHERS, OUT = texts("aeiou ", 60), texts("bcdfg ", 40), texts("aeioubc ", 20, 1)


def small(**given: Any) -> CorpusStudy:
    base = {"data": {"vowels": VOWELS, "others": OTHERS}, "held_out": {"vowels": 0.2, "mixed": OUT}}
    return CorpusStudy(**{**OPTIONS, **base, **given})


def test_steps_are_constant_and_budgets_met_within_a_document(tmp_path: Path) -> None:
    study = small(keep=["60% tokens", "300 tokens", "20 rows", "100%"])
    rows = run_study(study, tmp_path).to_pylist()
    assert {row["steps"] for row in rows} == {5} and {row["D"] for row in rows} == {300.0}
    assert {row["regime"] for row in rows} == {"300 tokens"} and len({row["C"] for row in rows}) == 1
    found = study.material()
    lengths, total = found.corpus.lengths_M, len(found.corpus.tokens)
    for row in rows:
        if row["budget"] in ("60% tokens", "300 tokens"):
            wanted = {"60% tokens": 0.6, "300 tokens": 300 / total}[row["budget"]] * total
            slack = lengths.max() * (2 if row["way"] == "stratified random" else 1)
            assert 0 <= wanted + 0.5 - row["keep"] * total < slack
            assert row["epochs"] == pytest.approx(300 / (row["keep"] * total))
            assert row["U"] <= row["keep"] * total + 1
        if row["budget"] == "20 rows":
            assert row["rows"] == 20 and row["keep"] == 20 / len(lengths)
    assert {row["budget"] for row in rows if row["way"] == "all"} == {None}
    assert {row["way"] for row in rows} == {"all", "random", "stratified random"}
    assert {(row["split"], row["metric"]) for row in rows} == {
        ("train", "loss"), *((split, metric) for split in ("vowels", "mixed") for metric in ("loss", "loss_per_byte")),
    }  # fmt: skip
    assert not list(tmp_path.glob("runs/*/**/*.safetensors"))


def test_the_stratified_share_keeps_the_sources(tmp_path: Path) -> None:
    study = small(keep=["50%"])
    cells = {cell.columns["way"]: cell for cell in study.cells(tmp_path)}
    ids = parquet.read_table(tmp_path / cells["stratified random"].task["subset"])["id"].to_pylist()
    kept = {name: sum(each.startswith(name) for each in ids) for name in ("vowels", "others")}
    sizes = dict(zip(study.material().pool.label_names, study.material().counts))
    assert all(abs(kept[name] - sizes[name] / 2) <= 0.5 for name in kept)
    assert study.material().strata == "source" and study.describe()["pool"]["strata"] == sizes


def test_one_source_is_stratified_by_length_and_a_column_if_named() -> None:
    found = small(data=VOWELS, held_out={"mixed": OUT}).material()
    assert found.strata == "length" and found.pool.num_classes == 10 and max(found.counts) <= 10
    lengths = found.corpus.lengths_M
    groups = np.array(found.pool.label_names)[found.pool.labels]
    assert max(lengths[groups == "length 2"]) <= min(lengths[groups == "length 3"])
    table = {"text": words("xyz", 6), "kind": ["p", "q", "q", "p", "p", "p"]}
    own = Examples.load(table, text="text", label=False)
    named = small(data=own, held_out={"mixed": OUT}, strata="kind").material()
    assert dict(zip(named.pool.label_names, named.counts)) == {"p": 4, "q": 2}
    with pytest.raises(InputError, match="strata must be one of"):
        small(data=own, held_out={"mixed": OUT}, strata="kinds").material()


def test_held_out_texts_are_in_no_pool() -> None:
    leaking = Examples.from_arrays([*words("aeiou ", 9, 5), *words("aeioubc ", 20, 1)[:3]])
    given: dict[str, Any] = {"data": leaking, "held_out": {"mixed": OUT}}
    with pytest.raises(InputError, match="3 of 12 documents are held-out texts too"):
        small(**given).material()
    found = small(**given, leaked="drop").material()
    assert found.leaked == 3 and len(found.pool) == len(found.corpus) == 9
    # by share: copies of a held-out document in another source are leaks as well
    twice = {"one": VOWELS, "two": VOWELS}
    kept = read_corpus_data(
        twice, {"one": 0.3}, ByteTokenizer(), held_out_tokens=10**6, leaked="drop", strata=None
    )
    assert kept.leaked == len(kept.held_out_keys) > 5
    assert not np.isin(kept.corpus.keys_M, kept.held_out_keys).any()


def test_scores_learn_from_no_held_out_text(tmp_path: Path) -> None:
    target = Examples.from_arrays([*words("aeiou ", 5, 7), words("aeioubc ", 20, 1)[0]])
    scores = {"scorers": "quality_classifier", "options": {"target": target}}
    study = small(scores=scores, select="highest by quality_classifier")
    with pytest.raises(InputError, match=r"1 of 6 documents of the target .* are held-out texts too"):
        study.prepare(tmp_path, Local(), False)


@pytest.mark.filterwarnings("ignore:density:UserWarning")  # tiny texts have none
def test_from_yaml_with_scores_interrupted_and_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, letters in (("vowels", "aeiou "), ("others", "bcdfg "), ("good", "aeio ")):
        parquet.write_table(
            pa.table({"text": words(letters, 50, seed=3), "label": ["x"] * 50}), tmp_path / f"{name}.parquet"
        )
    (tmp_path / "study.yaml").write_text(
        """
kind: corpus
data: {vowels: {source: vowels.parquet, text: text}, others: {source: others.parquet, text: text}}
held_out: {vowels: 0.2, others: 0.2}
tokens: 300
models: [8, {width: 8, experts: 2, active: 1, router_loss: 0.01}]
scores:
  - {scorers: density, options: {encoder: hashed}}
  - {scorers: [quality_classifier, ngram_perplexity(order=2)], options: {target: good.parquet}}
select: [inverse_propensity by density, highest by quality_classifier, lowest by ngram_perplexity(order=2)]
keep: 40% tokens
seeds: [0]
train: {length: 16, batch_tokens: 64, evaluate_at: [0.5]}
held_out_tokens: 200
device: cpu
"""
    )
    out, pretrain, calls = tmp_path / "out", studying.pretrain, 0

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise MemoryError
        return pretrain(*arguments, **options)

    monkeypatch.setattr(studying, "pretrain", failing)
    with pytest.raises(CellsFailed, match="1 of 12"):
        run_study(read_study(tmp_path / "study.yaml"), out)
    assert calls == 12 and len(set(parquet.read_table(out / "study.parquet")["run"].to_pylist())) == 11
    table = run_study(read_study(tmp_path / "study.yaml"), out)
    assert calls == 13 and len(set(table["run"].to_pylist())) == 12
    assert set(table["step"].to_pylist()) == {2, 5} and set(table["D"].to_pylist()) == {128.0, 300.0}
    told = read_json(out / "study.json")["study"]
    assert (
        told["models"]["mixtral-8-2x1"]["active_parameters"] < told["models"]["mixtral-8-2x1"]["parameters"]
    )
    assert told["models"]["mixtral-8-2x1"]["router_loss"] == 0.01
    by_way = {(each.way, each.model): each for each in outcomes(table, "loss", split="vowels")}
    best = by_way["lowest by ngram_perplexity(order=2)", "llama-8"]
    assert best.verdict == "cannot tell" and best.against_random is not None and best.against_all is not None
    # the model of vowels knows them from others
    subset = next(
        cell.task["subset"]
        for cell in read_study(tmp_path / "study.yaml").cells(out)
        if cell.columns["way"] == best.way
    )
    kept = parquet.read_table(out / subset)["id"].to_pylist()
    assert sum(each.startswith("vowels") for each in kept) > 0.9 * len(kept)
    assert {each.way for each in study_effective_sizes(table)} == {way for way, _ in by_way} - {"all"}
    with pytest.raises(InputError, match="ngram_perplexty"):
        make_study({**_plain(), "select": "lowest by ngram_perplexty"}, tmp_path).cells(out)


def _plain() -> dict[str, Any]:
    return {
        "kind": "corpus", "data": {"source": "vowels.parquet", "text": "text"}, "tokens": 300,
        "held_out": {"others": "others.parquet"}, "scores": {"scorers": "length"}, "device": "cpu",
    }  # fmt: skip


def test_optimizers_by_name_are_models_of_their_own(tmp_path: Path) -> None:
    study = small(optimizers={"adamw": {}, "sgd": {"lr": 0.1}}, keep=["50%"])
    cells = study.cells(tmp_path)
    assert {cell.columns["model"] for cell in cells} == {"llama-8 adamw", "llama-8 sgd"}
    assert {cell.request["settings"]["optimizer"] for cell in cells} == {"adamw", "sgd"}
    assert study.settings("sgd").optimizer_options == {} and study.settings("adamw").optimizer_options
    assert len({cell.run for cell in cells}) == len(cells) == 6


def test_selections_that_are_equal_are_one_run(tmp_path: Path) -> None:
    cells = small(keep=["99.99%"]).cells(tmp_path)
    assert len(cells) == 3 and len({cell.run for cell in cells}) == 1


@pytest.mark.parametrize(
    "given, message",
    [
        ({"held_out": {}}, "held_out must be texts by name"),
        ({"held_out": {"train": 0.1}}, "must not be called train"),
        ({"data": {}}, "at least one source"),
        ({"leaked": "keep"}, "leaked must be one of"),
        ({"train_settings": {"tokens": 5}}, "train must not give tokens"),
        ({"tokens": 0}, "tokens must be a whole number"),
        ({"scores": {"scorers": "loss", "model": "linear"}}, "leave out model"),
        ({"keep": []}, "keep must be one or more different budgets"),
        ({"keep": 0}, "keep must be one or more different budgets"),
        ({"optimizers": {"lion": {}}}, "give lr with optimizer 'lion'"),
    ],
)
def test_what_is_wrong_is_told_at_once(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        small(**given)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given, message",
    [
        ({"held_out": {"nobody": 0.1}}, "held_out share of a source must be one of"),
        ({"held_out": {"vowels": 1.5}}, "held_out vowels must be texts, or a fraction"),
        (
            {"data": Examples.from_arrays(np.eye(3)), "held_out": {"mixed": OUT}},
            "documents; name their column",
        ),
    ],
)
def test_what_is_wrong_with_texts_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        small(**given).material()


def test_a_pool_in_another_order_gives_the_same_runs(tmp_path: Path) -> None:
    turned = VOWELS.take(np.arange(len(VOWELS))[::-1])
    runs = [
        [cell.run for cell in small(data={"vowels": data, "others": OTHERS}).cells(tmp_path / str(at))]
        for at, data in enumerate((VOWELS, turned))
    ]
    assert runs[0] == runs[1]
    assert set(hash_ids(words("aeiou ", 60)).tolist()) >= set(
        small().material().held_out_keys.tolist()
    ) - set(hash_ids(words("aeioubc ", 20, 1)).tolist())
