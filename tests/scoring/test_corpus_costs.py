"""What scores have cost, and when that is paid back."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.document_world import documents

from scoring.corpus import providers
from scoring.corpus.break_even import break_even
from scoring.corpus.costs import costs_of
from scoring.examples import Examples
from scoring.run import score
from scoring.score_shards import score_shards


class TestBreakEven:
    def test_example_of_the_paper(self) -> None:
        """.56 * 24 + 10 = 23.4 < 24 accelerator-hours."""
        found = break_even(10.0, 24.0, 0.44, tokens=1.0)
        assert found.total == pytest.approx(23.44) and found.full == 24 and found.pays
        assert found.net == pytest.approx(24 - 23.44) and found.keep == pytest.approx(0.56)
        assert found.most_keep == pytest.approx(1 - 10 / 24) and found.runs_to_pay == 1
        assert "it pays" in found.text("hours") and "58.3%" in found.text("hours")

    def test_the_dearest_scorer_of_the_paper_pays_in_several_runs(self) -> None:
        """Flan-T5-XXL takes 49.0 hours."""
        once, often = (break_even(49.0, 24.0, 0.44, runs, tokens=1.0) for runs in (1, 5))
        assert not once.pays and once.runs_to_pay == 5 and often.pays
        assert once.most_keep == pytest.approx(1 - 49 / 24) and "it cannot" in once.text("hours")
        assert "from 5 runs on" in once.text()

    @pytest.mark.parametrize("runs", [1, 2, 7, 40])
    def test_pays_from_runs_to_pay_on(self, runs: int) -> None:
        for scoring in (0.0, 1.0, 3.0, 9.5):
            found = break_even(scoring, 2.0, 0.25, runs)
            assert found.pays == (runs >= found.runs_to_pay) == (runs * 0.5 > scoring)

    def test_at_most_keep_both_ways_cost_the_same(self) -> None:
        edge = break_even(3e18, 6e9, 1e9, 4, tokens=2e10).most_keep
        assert edge is not None
        found = break_even(3e18, 6e9, (1 - edge) * 2e10, 4, tokens=2e10)
        assert found.net == pytest.approx(0, abs=1e6) and found.total == pytest.approx(4 * 6e9 * 2e10)

    def test_nothing_saved_never_pays(self) -> None:
        for saved in (0.0, -5.0):
            found = break_even(1.0, 6.0, saved, 100)
            assert not found.pays and found.runs_to_pay == math.inf and "never" in found.text()
            assert found.to_dict()["runs_to_pay"] is None

    def test_free_scores_that_save_something_pay(self) -> None:
        assert break_even(0.0, 6.0, 1e-9).runs_to_pay == 1 and break_even(0.0, 6.0, 1e-9).pays

    def test_without_the_whole_nothing_is_said_of_shares(self) -> None:
        found = break_even(10.0, 24.0, 0.44)
        assert (
            found.keep is None
            and found.most_keep is None
            and found.total is None
            and "left" not in found.text()
        )
        json.dumps(found.to_dict(), allow_nan=False)

    @pytest.mark.parametrize(
        ("given", "named"),
        [
            ((-1.0, 6.0, 1.0), "scoring_flops"),
            ((math.nan, 6.0, 1.0), "scoring_flops"),
            ((1.0, math.inf, 1.0), "training_flops_per_token"),
            ((1.0, 6.0, math.nan), "tokens_saved"),
            ((1.0, 6.0, 1.0, 0), "runs"),
            ((1.0, 6.0, 1.0, 1.5), "runs"),
        ],
    )
    def test_mistakes(self, given: tuple[Any, ...], named: str) -> None:
        with pytest.raises(ValueError, match=rf"^break_even: {named} must be .*\.$"):
            break_even(*given)

    def test_no_more_is_saved_than_there_is(self) -> None:
        with pytest.raises(ValueError, match="tokens must be above 0 and at least"):
            break_even(1.0, 6.0, 2.0, tokens=1.0)


class TestCosts:
    @pytest.fixture
    def table(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Two columns of one question, one of another, one that reads no model."""
        places = {**providers.PROVIDERS, "answers": "references.counted_tokens:CountedTokens"}
        monkeypatch.setattr(providers, "PROVIDERS", places)
        texts = documents(50)
        self.tokens = sum(len(text.encode()) for text in texts)
        examples = Examples.from_arrays(texts, ids=[f"d{k}" for k in range(50)], name="corpus")
        request = ["ask_llm", "ask_llm(form=share)", "ask_llm(prompt=educational)", "length"]
        score(examples, request, out=tmp_path / "scores.parquet")
        return tmp_path / "scores.parquet"

    def test_per_scorer_and_together(self, table: Path) -> None:
        found = costs_of(table)
        each = {row["scorer"]: row for row in found.rows()}
        question = {"documents": 50, "tokens": self.tokens, "flops": 1000.0 * self.tokens}
        for name in ("ask_llm", "ask_llm(form=share)", "ask_llm(prompt=educational)"):
            assert {key: each[name][key] for key in question} == question
        assert each["length"]["tokens"] == 0 and each["together"]["documents"] == 50
        assert each["together"]["tokens"] == 2 * self.tokens and found.flops == 2000.0 * self.tokens
        shares = {cost.scorer: cost.shares for cost in found.scorers}
        assert shares["ask_llm"] == ("ask_llm(form=share)",) and not shares["ask_llm(prompt=educational)"]
        assert set(found.signals) == {"answers", "answers(prompt=educational)"}

    def test_a_table_that_is_made_again_costs_as_much_again_and_no_more(self, table: Path) -> None:
        examples = Examples.from_arrays(documents(50), ids=[f"d{k}" for k in range(50)], name="corpus")
        before = costs_of(table).total.tokens
        for overwrite in (True, False):
            if not overwrite:
                table.unlink()
            request = ["ask_llm", "ask_llm(form=share)", "ask_llm(prompt=educational)", "length"]
            score(examples, request, out=table, overwrite=overwrite)
            assert costs_of(table).total.tokens == before and costs_of(table).total.documents == 50

    def test_time_of_scorers_that_compare_all_documents(self, tmp_path: Path) -> None:
        pq.write_table(pa.table({"text": documents(50)}), tmp_path / "shard.parquet")
        for part in ("minhash_duplicates", "semantic_duplicates"):
            score(Examples.load(tmp_path / "shard.parquet"), part, out=tmp_path / part, encoder="hashed")
            score_shards(tmp_path / "shard.parquet", part, out=tmp_path / f"{part}-shards", encoder="hashed")
            for table in (part, f"{part}-shards"):
                own = json.loads((tmp_path / f"{table}.costs.json").read_text())["scorers"][part]
                assert own["documents"] == 50 and own["seconds"] > 0

    def test_text(self, table: Path) -> None:
        lines = costs_of(table).text().splitlines()
        assert len(lines) == 5 and all(line.endswith(".") for line in lines)
        assert "for answers (shared with ask_llm(form=share))" in lines[0]
        assert lines[-1].startswith(f"Together: 50 documents, {2 * self.tokens:,} tokens")

    def test_pays_back(self, table: Path) -> None:
        assert break_even(costs_of(table).flops, 6.0, 2000.0 * self.tokens / 6.0 + 1).pays

    def test_no_costs(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"^costs_of: .*costs.json.*\.$"):
            costs_of(tmp_path / "none.parquet")

    def test_operations_that_nobody_knows(self, table: Path) -> None:
        ledger = table.with_name(f"{table.name}.costs.json")
        content = json.loads(ledger.read_text())
        for cost in content["signals"].values():
            cost["flops"] = 0.0
        ledger.write_text(json.dumps(content))
        assert "operations unknown" in costs_of(table).text()
