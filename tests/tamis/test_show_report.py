"""What a report looks like in a terminal: in a narrow terminal columns are left out and named; no value is cut."""

import pytest
from rich.console import Console

from scoring.compare.writing import report_of
from scoring.reports.section import Listing, Section
from tamis.show_report import show_report

ABOUT = {
    "examples": 100, "scores": {"el2n": "hard"}, "architectures": {"mlp": ["seed-0"], "[red]a|b": ["seed-0"]},
    "left_out": {}, "dropped": 0, "keep": 0.3,
}  # fmt: skip
HEADER = [
    "score",
    "architecture",
    "runs",
    "single run (95 %)",
    "k runs (95 %)",
    "Spearman-Brown",
    "share of ties",
]
ROW = ["loss@mean", "[red]a|b", 5, (0.829, 0.75, 0.885), (0.899, 0.819, 0.946), 0.907, 0.125]
SECTION = Section("reliability", "Over runs", ["Said."], [Listing(HEADER, [ROW], "Caption")])


@pytest.mark.parametrize("columns", [50, 80, 100, 160])
def test_values_are_whole_at_any_width(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.show_report.console", lambda: Console(width=columns))
    show_report(report_of(ABOUT, [SECTION]), None)
    said = capsys.readouterr().out
    lines = said.splitlines()
    row = next(line for line in lines if line.startswith("loss@mean"))
    values = [
        "loss@mean",
        "[red]a|b",
        "5",
        "0.829 (0.750 to 0.885)",
        "0.899 (0.819 to 0.946)",
        "0.907",
        "0.125",
    ]
    shown = [value for value in values if value in row]
    assert row.split() == " ".join(shown).split() and shown == values[: len(shown)] and len(shown) >= 3
    assert max(map(len, lines)) <= columns
    left_out = HEADER[len(shown) :]
    assert ("Too wide for this terminal" in said) == bool(left_out)
    assert all(word in said for name in left_out for word in name.split())
    assert len(shown) == {50: 3, 80: 5, 100: 7, 160: 7}[columns]


def test_texts_of_examples_wrap_instead_of_leaving(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamis.show_report.console", lambda: Console(width=80))
    words = " ".join(f"word{number}" for number in range(30))
    shown = Section("sensitive", "Examples", [], [Listing(["id", "q", "example"], [["a", 0.01, words]])])
    show_report(report_of(ABOUT, [shown]), None)
    said = capsys.readouterr().out
    assert "Too wide" not in said and all(word in said for word in words.split())


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_tables_of_text_alone_are_not_cut_either(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = ["easiest by el2n", "worse", "0.033 (0.014 to 0.066)", "0.24 (0.15 to 0.42)", "no crossing"]
    listing = Listing(
        ["selection", "verdict", "gap", "times the data", "crossing"], [row], "A caption of some length"
    )
    monkeypatch.setattr("tamis.show_report.console", lambda: Console(width=columns))
    show_report(report_of(ABOUT, [Section("text", "Text", ["Said."], [listing])]), None)
    said = capsys.readouterr().out
    line = next(line for line in said.splitlines() if line.startswith("easiest"))
    whole = [value for value in row if value in line]
    assert line.split() == " ".join(whole).split(), "every value is shown whole or not at all"
    assert len(whole) == len(row) or "Too wide for this terminal" in said
