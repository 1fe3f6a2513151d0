"""The files of a comparison: what they hold, how text is escaped, what is never overwritten."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.compare.writing import check_folder, report_of
from scoring.errors import InputError
from scoring.reports.section import Listing, Section
from scoring.reports.text import escape, number

ABOUT = {
    "examples": 1200, "scores": {"el2n": "hard"}, "architectures": {"mlp": ["seed-0", "seed-1"], "cnn": ["seed-0"]},
    "left_out": {"random": "its numbers are arbitrary"}, "dropped": 3, "keep": 0.3,
}  # fmt: skip


def figure():
    from scoring.plots.style import new_figure, style

    with style():
        made = new_figure(2, 1)
        made.add_subplot().plot([0, 1])
    return made


SECTION = Section(
    name="reliability",
    title="Would other runs rank alike?",
    sentences=["4 runs give 90 % overlap; you have 2.", "Ties break it."],
    listings=[
        Listing(["score", "rho", "rows"], [["el2n", 0.87654, 1200], ["a|b\n<i>", None, 7]], "By score")
    ],
    figures={"curve": figure},
    document={"rho": {"el2n": np.float64(0.87654)}, "missing": float("nan")},
    tables={"errors": pa.table({"id": [1, 2], "se": [0.5, 0.25]})},
)


def test_the_files_hold_what_was_found(tmp_path):
    names = sorted(path.name for path in report_of(ABOUT, [SECTION]).write(tmp_path / "out"))
    assert names == ["curve.png", "errors.parquet", "report.md", "summary.json"]
    report = (tmp_path / "out" / "report.md").read_text()
    assert report.startswith("# 1 score of 1,200 examples in 3 runs of 2 architectures\n")
    for line in (
        "- architectures (runs): mlp (2), cnn (1)",
        "- left out: random (its numbers are arbitrary)",
        "- 4 runs give 90 % overlap; you have 2.",
        "Ties break it.",
        "**By score**",
        "| score | rho | rows |",
        "|---|--:|--:|",
        "| el2n | 0.877 | 1,200 |",
        r"| a\|b &lt;i\> | - | 7 |",
        "![Would other runs rank alike?: curve](curve.png)",
        "All 2 rows (id, se): [errors.parquet](errors.parquet)",
    ):
        assert line in report.splitlines(), line
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["about"] == {**ABOUT}
    assert summary["sections"]["reliability"]["rho"] == {"el2n": 0.87654}
    assert summary["sections"]["reliability"]["missing"] == "nan"
    assert summary["files"] == ["curve.png", "errors.parquet", "report.md"]
    assert pq.read_table(tmp_path / "out" / "errors.parquet").column("se").to_pylist() == [0.5, 0.25]


def test_equal_input_gives_equal_bytes_and_old_files_go(tmp_path):
    report_of(ABOUT, [SECTION]).write(tmp_path / "a")
    report_of(ABOUT, []).write(tmp_path / "b")
    (tmp_path / "b" / "scores").mkdir()
    report_of(ABOUT, [SECTION]).write(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    report_of(ABOUT, []).write(tmp_path / "b")
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["report.md", "scores", "summary.json"]


def test_a_summary_cannot_make_it_delete_files_elsewhere(tmp_path):
    (tmp_path / "precious").write_text("x")
    folder = tmp_path / "out"
    report_of(ABOUT, []).write(folder)
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(json.dumps({**summary, "files": ["../precious", "report.md"]}))
    report_of(ABOUT, []).write(folder)
    assert (tmp_path / "precious").exists()


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "report.md").write_text("mine")
    (tmp_path / "fresh" / "scores").mkdir(parents=True)
    report_of({**ABOUT, "keep": 0.1}, []).write(tmp_path / "old")
    for name, sentence in (
        ("file", "must be a folder"), ("other", "holds 'report.md'; choose another"),
        ("old", "holds another comparison"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            check_folder(tmp_path / name, ABOUT, overwrite=False)
    check_folder(tmp_path / "old", ABOUT, overwrite=True)
    check_folder(tmp_path / "old", {**ABOUT, "keep": 0.1}, overwrite=False)
    check_folder(tmp_path / "fresh", ABOUT, overwrite=False)
    check_folder(tmp_path / "new", ABOUT, overwrite=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mean_confidence of vog:kwok2024", "mean_confidence of vog:kwok2024"),
        ("_emphasis_ *bold* `code`", r"\_emphasis\_ \*bold\* \`code\`"),
        ("[a](http://b) <script> x|y", r"\[a\](http://b) &lt;script\> x\|y"),
        ("# heading\nand more", r"\# heading and more"),
        ("12. a list", r"12\. a list"),
        ("-0.5", "-0.5"),
        ("- a list", r"\- a list"),
        ("a\x1b[31m & b", r"a\\x1b\[31m &amp; b"),
    ],
)
def test_text_is_shown_as_it_is(text, shown):
    assert escape(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"), (float("nan"), "-"), (0.0, "0.000"), (1e-7, "1.0e-07"), (-0.12345, "-0.123"), (12.345, "12.3"),
        (123456.7, "123,457"), (1234, "1,234"), (True, "yes"), ("a\nb", "a b"),
        ((0.5, 0.25, 1.0), "0.500 (0.250 to 1.000)"),
        ((0.5, float("nan"), float("nan")), "0.500"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_no_sections_make_a_short_report():
    assert "In short" not in report_of(ABOUT, []).markdown()


def test_what_was_interrupted_while_writing_is_written_by_the_same_call(tmp_path):
    def stop():
        raise KeyboardInterrupt

    halted = Section(
        name="a", title="b", sentences=["c"], figures={"first": figure, "second": stop}, document={"d": 1}
    )
    with pytest.raises(KeyboardInterrupt):
        report_of(ABOUT, [halted]).write(tmp_path)
    assert "sections" not in json.loads((tmp_path / "summary.json").read_text())
    check_folder(tmp_path, ABOUT, overwrite=False)
    with pytest.raises(InputError, match="another comparison"):
        check_folder(tmp_path, {**ABOUT, "keep": 0.1}, overwrite=False)
    report_of(ABOUT, []).write(tmp_path)  # and nothing of it is left behind
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.md", "summary.json"]
