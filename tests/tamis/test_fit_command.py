"""``tamis fit`` and ``tamis predict``: from a table of runs to laws, maps and predictions; mistakes in one sentence."""

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv
from references.law_worlds import PLANTED, world_inputs
from typer.testing import CliRunner, Result

from tamis.cli import app
from training.laws.catalog import form_named
from training.laws.law_file import load_law


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two corpora under other names than ours, one column per metric; the web has one run more."""
    inputs = world_inputs("kaplan_offset", 60)
    p = PLANTED["kaplan_offset"]
    rng = np.random.default_rng(0)
    web = np.exp(form_named("kaplan_offset").ln_prediction(p, inputs))
    code = 0.8 + 0.7 * (web - p["E"]) ** 1.1
    noise = np.exp(rng.normal(0, 0.002, (2, 60)))
    columns = {
        "params": np.concatenate([inputs["N"], inputs["N"][:-1]]),
        "tokens": np.concatenate([inputs["D"], inputs["D"][:-1]]),
        "data": ["web"] * 60 + ["code"] * 59,
        "val_loss": np.concatenate([web * noise[0], (code * noise[1])[:-1]]),
        "width": np.concatenate([inputs["N"], inputs["N"][:-1]]) ** 0.5,
    }
    path = tmp_path_factory.mktemp("laws") / "runs.csv"
    csv.write_csv(pa.table(columns), path)
    return path


NAMED = ("--column", "N=params", "--column", "D=tokens", "--column", "corpus=data", "--metric", "val_loss")
QUICK = ("--resamples", 40, "--starts", 12, "--quiet")


@pytest.fixture(scope="module")
def fitted(runs: Path) -> Path:
    out = runs.parent / "laws"
    done = tamis(
        "fit",
        runs,
        *NAMED,
        *QUICK,
        "--law",
        "kaplan_offset",
        "--budget",
        "1e21",
        "--profile",
        "E",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    return out


def test_a_law_per_corpus_with_report_figures_and_files(fitted: Path) -> None:
    names = {path.name for path in fitted.iterdir()}
    for stem in ("code-val_loss", "web-val_loss"):
        assert {
            f"{stem}-fit.png",
            f"{stem}-residuals.png",
            f"{stem}-profiles.png",
            f"{stem}.law.json",
        } <= names
    report = (fitted / "report.md").read_text()
    assert "kaplan_offset: 2 laws, of 59 to 60 runs each" in report and "## Val_loss of web" in report
    summary = json.loads((fitted / "summary.json").read_text())
    web = summary["sections"]["web-val_loss"]
    for name, true in PLANTED["kaplan_offset"].items():
        value, low, high = web["intervals"][name]
        assert value == pytest.approx(true, rel=0.5) and low < value < high
    assert web["optima"][0]["C"] == 1e21
    law = load_law(fitted / "web-val_loss.law.json")
    assert law.about == {"corpus": "web", "metric": "val_loss", "source": "runs.csv", "level": 0.95}
    assert law.fitted.parameters == web["parameters"]


def test_predictions_say_whether_they_are_among_the_runs(fitted: Path) -> None:
    law = fitted / "web-val_loss.law.json"
    done = tamis(
        "predict", law, "--at", "N=1e9,D=2e10", "--at", "C=1e26,M=20", "--budget", "1e21,1e22", "--json"
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    near, far = found["runs"]
    true = np.exp(
        form_named("kaplan_offset").ln_prediction(PLANTED["kaplan_offset"], {"N": [1e9], "D": [2e10]})
    )[0]
    assert near["inside"] and not far["inside"] and far["beyond"] > 100
    assert near["low"] < near["value"] < near["high"] and near["value"] == pytest.approx(true, rel=0.01)
    assert [row["C"] for row in found["budgets"]] == [1e21, 1e22]
    said = tamis(
        "predict", law, "--budget", "1e26", "--solve", "D", "--reach", "2.205", "--at", "N=1e13"
    ).output
    assert len(re.findall(r"no, \S+ times their C", said)) == 2, "both say that they are extrapolations"


def test_what_it_takes_to_reach_a_loss(fitted: Path) -> None:
    law = fitted / "web-val_loss.law.json"
    found = json.loads(
        tamis("predict", law, "--solve", "D", "--reach", "2.6", "--at", "N=1e9", "--json").output
    )
    row = found["reach"][0]
    assert row["wanted"] == "D" and row["low"] < row["value"] < row["high"]
    back = load_law(law).fitted.predict({"N": 1e9, "D": row["value"]})
    assert back == pytest.approx(2.6)
    said = tamis("predict", law, "--solve", "D", "--reach", "1.0", "--at", "N=1e9")
    assert said.exit_code == 0 and "never reached at N = 1e9 by the law, whatever D, nor by" in said.output
    assert "floor" not in said.output and "Outside the runs" not in said.output, "there is no number to doubt"


def test_what_some_refits_reach_is_not_out_of_reach(fitted: Path) -> None:
    """Just below the law's own floor at this size lie those of many of its refits."""
    path = fitted / "web-val_loss.law.json"
    law = load_law(path)
    assert law.resampled is not None
    at = {"N": np.array(1e9), "D": np.array(1e30)}
    floors_B = np.exp(law.fitted.form.ln_prediction(law.resampled.samples, at))
    own = float(law.fitted.predict({"N": 1e9, "D": 1e30}))
    assert floors_B.min() < own
    for outcome, words in ((own - 1e-4 * own, "its refits"), (0.5 * floors_B.min(), "nor by its refits")):
        arguments = ("--solve", "D", "--reach", outcome, "--at", "N=1e9")
        row = json.loads(tamis("predict", path, *arguments, "--json").output)["reach"][0]
        said = " ".join(tamis("predict", path, *arguments).output.split())
        assert "never reached" in said and words in said
        assert ("the runs do not say" in said) == (row["low"] != row["high"]) == (words == "its refits")


def test_intervals_outside_the_runs_are_told_to_rest_on_the_law(fitted: Path) -> None:
    law = fitted / "web-val_loss.law.json"
    for inside, asked in (
        (True, ("--at", "N=1e9,D=2e10")), (False, ("--at", "C=1e26,M=20")), (False, ("--budget", "1e26")),
    ):  # fmt: skip
        said = " ".join(tamis("predict", law, *asked).output.split())
        assert ("only if the law goes on as it is" in said) != inside


def test_held_out_runs_are_judged(runs: Path, tmp_path: Path) -> None:
    done = tamis(
        "fit", runs, *NAMED, *QUICK, "--where", "data=web", "--below", "1e20", "--law", "chinchilla", "--tie",
        "beta=alpha", "--json", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (section,) = json.loads(done.output)["sections"].values()
    assert section["held_out"]["mean_error"] < 0.05 and len(section["held_out"]["actual"]) > 5
    assert section["parameters"]["alpha"] == section["parameters"]["beta"]
    assert "Held-out runs" in (tmp_path / "out" / "report.md").read_text()


def test_a_formula_is_a_law(runs: Path) -> None:
    done = tamis("fit", runs, *NAMED, *QUICK, "--where", "data=web", "--law", "E + a / width^b", "--json")
    assert done.exit_code == 0, done.output
    (section,) = json.loads(done.output)["sections"].values()
    assert set(section["parameters"]) == {"E", "a", "b"}


def test_loss_to_loss_predicts_what_only_the_source_has(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "map"
    done = tamis(
        "fit",
        runs,
        *NAMED[:6],
        "--from",
        "web:val_loss",
        "--to",
        "code:val_loss",
        "--resamples",
        40,
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    summary = json.loads((out / "summary.json").read_text())["sections"]
    kappa, low, high = summary["map"]["kappa"]
    assert low < 1.1 < high and kappa == pytest.approx(1.1, abs=0.2)
    assert len(summary["predicted"]["x"]) == 1
    inputs = world_inputs("kaplan_offset", 60)
    web = np.exp(form_named("kaplan_offset").ln_prediction(PLANTED["kaplan_offset"], inputs))[-1]
    actual = 0.8 + 0.7 * (web - PLANTED["kaplan_offset"]["E"]) ** 1.1
    assert summary["predicted"]["low"][0] < actual < summary["predicted"]["high"][0]
    assert (out / "loss-to-loss.png").is_file()
    held = tamis(
        "fit", runs, *NAMED[:6], "--from", "web:val_loss", "--to", "code:val_loss", "--resamples", 40, "--below",
        "1e20", "--json", "--out", tmp_path / "held",
    )  # fmt: skip
    assert held.exit_code == 0, held.output
    section = json.loads(held.output)["sections"]["held_out"]
    methods = section["methods"]
    lines = (tmp_path / "held" / "report.md").read_text().replace("\\", "").splitlines()
    (head,) = (at for at, line in enumerate(lines) if "error, loss to loss" in line)
    assert all(f"error, {name.replace('_', ' ')}" in lines[head] for name in methods)
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), lines[head + 2 :]))
    assert len(rows) == len(section["rows"]) / len(methods), "a run is a row, its methods beside each other"
    assert set(methods) == {"loss_to_loss", "identity", "own_law", "flops_to_loss"}
    assert methods["loss_to_loss"]["mean_error"] < methods["identity"]["mean_error"]


def test_the_same_call_may_write_again_another_may_not(runs: Path, fitted: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in fitted.iterdir()}
    same = tamis(
        "fit",
        runs,
        *NAMED,
        *QUICK,
        "--law",
        "kaplan_offset",
        "--budget",
        "1e21",
        "--profile",
        "E",
        "--out",
        fitted,
    )
    assert same.exit_code == 0, same.output
    assert before == {path.name: path.read_bytes() for path in fitted.iterdir()}
    other = tamis("fit", runs, *NAMED, *QUICK, "--law", "kaplan_offset", "--out", fitted)
    assert other.exit_code == 2 and "--overwrite" in other.output
    (tmp_path / "mine.txt").write_text("precious")
    refused = tamis("fit", runs, *NAMED, *QUICK, "--out", tmp_path)
    assert refused.exit_code == 2 and "mine.txt" in refused.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--law", "chinchila"), "--law must be one of"),
        (("--law", "chinchila"), "Did you mean 'chinchilla'"),
        (("--law", "broken_power(brakes=2)"), "tamis: --law broken_power: "),
        (("--law", "broken_power(brakes=2)"), "brakes"),
        (("--law", "a * y"), "names none of the columns"),
        (("--law", "power"), "'x' is missing"),
        (("--column", "N=parms"), "Did you mean 'params'"),
        (("--where", "data=wbe"), "Did you mean 'web'"),
        (("--where", "data"), "NAME=VALUE"),
        (("--freeze", "E=low"), "NAME=NUMBER"),
        (("--freeze", "F=1"), "parameter must be one of"),
        (("--tie", "B=A"), "has units"),
        (("--objective", "hubr"), "Did you mean 'huber'"),
        (("--below", "1e30"), "all are below"),
        (("--below", "1e19,many"), "--below must be numbers such as 1e21"),
        (("--below", "1e10,1e20"), "0 are below"),
        (("--versus", "chinchilla"), "give both"),
        (("--below", "1e20", "--versus", "chinchila"), "Did you mean 'chinchilla'"),
        (("--below", "1e19,1e20", "--base", "web"), "go with a law"),
        (("--isoflop", "--base", "web"), "--isoflop goes with a law"),
        (("--budget", "many"), "numbers such as 1e21"),
        (("--profile", "gamma"), "profile must be one of"),
        (("--ratio", "a:b"), "LOW:HIGH"),
        (("--groups", "seeds"), "seeds"),
        (("--level", "95"), "between 0 and 1"),
        (("--resamples", "2"), "at least 20"),
        (("--starts", "0"), "starts must be at least 1"),
        (("--from", "web:val_loss"), "--from and --to are needed together"),
        (("--from", "web", "--to", "code:val_loss"), "CORPUS:METRIC"),
        (("--from", "web:val_loss", "--to", "cod:val_loss"), "Did you mean 'code'"),
        (("--from", "web:val_loss", "--to", "code:val_loss", "--pair", "run"), "no run of"),
        (("--from", "web:val_loss", "--to", "code:val_loss", "--several", "some"), "several must be one of"),
        (("--base", "web", "--from", "web:val_loss", "--to", "code:val_loss"), "give one of them"),
        (("--base", "wbe"), "wbe"),
        (("--seed", "-1"), "--seed must be at least 0"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: tuple[str, ...], sentence: str, runs: Path
) -> None:
    done = tamis("fit", runs, *NAMED, "--quiet", *arguments)
    assert done.exit_code == 2 and sentence in done.output, done.output
    assert done.output.count("\n") == 1 and "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give --at"),
        (("--at", "N=1e9"), "'D' is missing"),
        (("--at", "N=big,D=1e9"), "NAME=NUMBER"),
        (("--at", "N=-1,D=1e9"), "finite and above 0"),
        (("--at", "N=1e9,D=1e9,x=3"), "input must be one of"),
        (("--solve", "D"), "needed together"),
        (("--solve", "x", "--reach", "2.5"), "input must be one of"),
        (("--solve", "D", "--reach", "2.5"), "N is missing"),
        (("--solve", "D", "--reach", "2.5", "--at", "N=1e9,D=1e9"), "D is what is solved for"),
        (("--budget", "-1"), "numbers above 0"),
        (("--at", "N=1e9,D=1e9", "--level", "2"), "between 0 and 1"),
    ],
)
def test_a_mistake_of_predict_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, fitted: Path
) -> None:
    done = tamis("predict", fitted / "web-val_loss.law.json", *arguments)
    assert done.exit_code == 2 and sentence in done.output, done.output
    assert done.output.count("\n") == 1


def test_a_folder_of_two_laws_asks_which(fitted: Path) -> None:
    done = tamis("predict", fitted, "--at", "N=1e9,D=1e9")
    assert done.exit_code == 2 and "code-val_loss.law.json" in done.output


def write(path: Path, rows: list[str], head: str = "N,D,loss") -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def chinchilla_rows(count: int = 24) -> list[str]:
    rng = np.random.default_rng(1)
    N, D = 10 ** rng.uniform(7, 9, count), 10 ** rng.uniform(8.5, 10.5, count)
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * np.exp(rng.normal(0, 0.003, count))
    return [f"{n},{d},{y}" for n, d, y in zip(N, D, loss)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "holds no rows with a value"),
        (chinchilla_rows(1), "at least 2 runs, got 1"),
        ([*chinchilla_rows(), "1e8,1e9,-2"], "loss must be above 0, as the objective huber reads logarithms"),
        ([*chinchilla_rows(), "1e8,1e9,inf"], "loss is no finite number in 1 of 25 rows"),
        ([*chinchilla_rows(), "1e8,,3"], "reads D, which is unknown in 1 of 25 rows"),
        ([*chinchilla_rows(), "0,1e9,3"], "N must be above 0"),
        ([*chinchilla_rows(), "1e8,1e9,three"], "not a number, 'three'"),
    ],
)
def test_tables_without_a_law_are_one_sentence(rows: list[str], sentence: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tamis("fit", write(tmp_path / "runs.csv", rows), "--metric", "loss", *QUICK, "--out", out)
    assert done.exit_code == 2 and sentence in done.output and done.output.count("\n") == 1, done.output
    assert not out.exists()


def test_copies_and_another_compute_are_told(tmp_path: Path) -> None:
    rows = [
        f"{row},{6 * float(row.split(',')[0]) * float(row.split(',')[1]) / 1000}" for row in chinchilla_rows()
    ]
    path = write(tmp_path / "runs.csv", rows + rows[:5], "N,D,loss,C")
    done = tamis("fit", path, "--metric", "loss", *QUICK, "--budget", "1e19")
    said = " ".join(done.output.split())
    assert done.exit_code == 0 and "5 of 29 runs equal another in all that the law reads" in said
    assert "Nothing was found" not in said
    assert "the table's C is 0.0010 times 6 N D" in done.output
    plain = tamis("fit", write(tmp_path / "plain.csv", chinchilla_rows()), "--metric", "loss", *QUICK)
    assert "equal another" not in plain.output and "6 N D" not in plain.output


def test_epochs_follow_from_unique_tokens(tmp_path: Path) -> None:
    rows = [f"{row},{float(row.split(',')[1]) / (1 + k % 3)}" for k, row in enumerate(chinchilla_rows())]
    done = tamis(
        "fit", write(tmp_path / "runs.csv", rows, "N,D,loss,unique"), "--column", "U=unique", "--metric", "loss",
        *QUICK, "--law", "data_constrained", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (section,) = json.loads(done.output)["sections"].values()
    assert "R_D" in section["parameters"]


def test_in_short_is_one_sentence_per_law(fitted: Path) -> None:
    report = (fitted / "report.md").read_text()
    short = report.partition("## In short")[2].partition("\n## ")[0].strip().splitlines()
    assert len(short) == 2 and all("the law of val_loss of" in line and len(line) < 250 for line in short)


def test_selections_begin_with_their_verdicts(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tamis("fit", runs, *NAMED, *QUICK, "--base", "web", "--out", out)
    assert done.exit_code == 0, done.output
    report = (out / "report.md").read_text()
    assert "- val_loss beside web: code is better." in report
    assert "nan" not in report and "inf" not in report.replace("infinit", ""), (
        "what has no number is said in words"
    )
    assert "Written to" in done.output and "laws." not in done.output.partition("Written to")[2]


@pytest.mark.parametrize("asked", [("--base", "a"), ("--from", "a:loss", "--to", "b:loss")])
def test_without_corpora_nothing_is_compared(asked: tuple[str, ...], tmp_path: Path) -> None:
    done = tamis("fit", write(tmp_path / "runs.csv", chinchilla_rows()), "--metric", "loss", *QUICK, *asked)
    assert done.exit_code == 2 and "--column corpus=" in done.output and done.output.count("\n") == 1


def test_a_corpus_of_one_run_does_not_keep_the_others_from_their_laws(tmp_path: Path) -> None:
    rows = [f"{row},web" for row in chinchilla_rows()] + ["1e8,1e9,3.1,lonely"]
    path = write(tmp_path / "runs.csv", rows, "N,D,loss,corpus")
    done = tamis("fit", path, "--metric", "loss", *QUICK)
    assert done.exit_code == 0 and "at least 2 runs: 'loss of lonely'" in done.output, done.output
    assert "Loss of web" in done.output


def test_curves_of_equal_compute_of_a_published_grid(data_dir: Path, tmp_path: Path) -> None:
    """Porian et al. 2024, unweighted: exponents of their points within 0.005 of those of their optima."""
    folder = data_dir / "scaling" / "porian_isoflop"
    setting = "rw|base|short|chinchilla|standard|val"
    done = tamis(
        "fit", folder / "isoflop_points_refinedweb.csv", "--column", "N=params", "--column", "D=tokens", "--column",
        "C=flops", "--column", "corpus=setting", "--where", f"corpus={setting}", "--metric", "loss", *QUICK,
        "--isoflop", "--json", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (name,) = (each for each in json.loads(done.output)["sections"] if "isoflop" in each)
    found = json.loads(done.output)["sections"][name]
    published = {
        row["setting"]: row for row in csv.read_csv(folder / "published_exponents_refinedweb.csv").to_pylist()
    }
    value, low, high = found["exponent"]
    assert low < value < high and value == pytest.approx(published[setting]["a_basic"], abs=0.005)
    assert all(found["inside"]) and len(found["C"]) == 12
    assert (tmp_path / "out" / f"{name}.png").is_file()


def test_budgets_agree_up_to_rounding_and_must_be_shared(tmp_path: Path) -> None:
    rows = []
    for C in (1e18, 1e19, 1e20, 1e21):
        for N in np.sqrt(C / 6) * np.geomspace(0.1 if C < 1e21 else 1.5, 10, 7):
            D = np.round(C / (6 * N) / 2**14) * 2**14
            rows.append(f"{N},{D},{1.7 + 400 / N**0.34 + 400 / D**0.34}")
    path = write(tmp_path / "grid.csv", [*rows, "1e8,1e9,3.1"])
    done = tamis("fit", path, "--metric", "loss", *QUICK, "--isoflop", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)["sections"]["loss-isoflop"]
    assert found["C"] == pytest.approx([1e18, 1e19, 1e20, 1e21], rel=1e-3)
    assert found["inside"] == [True, True, True, False], "the last curve begins beyond its best size"
    assert found["exponent"][0] == pytest.approx(0.5, abs=0.02), (
        "equal exponents: N* grows as C to the power 1/2"
    )
    said = " ".join(tamis("fit", path, "--metric", "loss", *QUICK, "--isoflop").output.split())
    assert "1 run at 1 other budget of fewer than 3 sizes" in said and "may lie beyond: C = 1e21." in said
    alone = tamis(
        "fit", write(tmp_path / "none.csv", chinchilla_rows()), "--metric", "loss", *QUICK, "--isoflop"
    )
    assert (
        alone.exit_code == 2
        and "no curves of equal compute" in alone.output
        and alone.output.count("\n") == 1
    )


def test_laws_are_compared_below_several_budgets(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = tamis(
        "fit", runs, *NAMED, *QUICK, "--where", "data=web", "--law", "kaplan_offset", "--versus",
        "power_offset,broken_power(breaks=1)", "--below", "1e21,1e20", "--json", "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    sections = json.loads(done.output)["sections"]
    rows = sections["web-val_loss-extrapolation"]["rows"]
    laws = ["kaplan_offset", "power_offset", "broken_power(breaks=1)"]
    assert [(row["below"], row["form"]) for row in rows] == [(C, law) for C in (1e20, 1e21) for law in laws]
    held = sections["web-val_loss"]["held_out"]
    assert rows[3]["mean_error"] == held["mean_error"] and rows[3]["tested"] == len(held["actual"]), (
        "the law saved is that of the largest budget"
    )
    assert all(rows[at]["mean_error"] < rows[at + 1]["mean_error"] for at in (0, 3)), (
        "the planted law errs less"
    )
    report = (out / "report.md").read_text()
    assert "kaplan_offset errs least below every one of the 2 budgets" in report.replace("\\", "")
    assert (out / "web-val_loss-extrapolation.png").is_file()


def test_a_law_alone_is_judged_below_several_budgets(runs: Path) -> None:
    done = tamis(
        "fit", runs, *NAMED, *QUICK, "--where", "data=web", "--tie", "beta=alpha", "--below", "1e20,1e21", "--groups",
        "width", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = json.loads(done.output)["sections"]["web-val_loss-extrapolation"]["rows"]
    assert [row["form"] for row in rows] == ["chinchilla with beta=alpha"] * 2


def test_an_interrupted_fit_claims_nothing_that_it_kept(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("training.laws.analysis.law.law_report", interrupted)
    done = tamis("fit", runs, *NAMED, *QUICK)
    assert (
        done.exit_code == 130 and done.output.strip() == "tamis: interrupted; the same command starts anew."
    )


def test_runs_that_share_a_pair_name_their_option(runs: Path, tmp_path: Path) -> None:
    table = csv.read_csv(runs)
    csv.write_csv(pa.concat_tables([table, table.slice(0, 1)]), tmp_path / "twice.csv")
    asked = (*NAMED[:6], "--from", "web:val_loss", "--to", "code:val_loss", "--resamples", 20)
    done = tamis("fit", tmp_path / "twice.csv", *asked)
    assert done.exit_code == 2 and "give --several mean or --several lowest." in done.output, done.output
    assert tamis("fit", tmp_path / "twice.csv", *asked, "--several", "mean").exit_code == 0


def test_an_input_that_nothing_is_known_of(tmp_path: Path) -> None:
    path = write(tmp_path / "runs.csv", ["3.1", "3.0"], "loss")
    for law, sentence in (
        ("power", "the input 'x' is missing and nothing is known that it follows from."),
        ("chinchilla", "it reads N, which is unknown in 2 of 2 rows; map a column to it by --column or"),
    ):
        done = tamis("fit", path, "--metric", "loss", "--law", law, *QUICK)
        assert done.exit_code == 2 and sentence in done.output, done.output
