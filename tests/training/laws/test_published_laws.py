"""Published fits, refitted from the published runs: the numbers stand in the README of each folder of the data."""

import numpy as np
import pytest

from training.laws.catalog import form_named
from training.laws.evaluation import evaluate
from training.laws.fit import Outliers, fit
from training.laws.fitting.objective import Objective
from training.laws.forms.over_training import to_chinchilla
from training.laws.isoflop import isoflop_optima, power_exponent
from training.laws.optimal import compute_optimal
from training.laws.run_table import read_run_table
from training.laws.uncertainty.bootstrap import bootstrap


@pytest.fixture(scope="module")
def scaling(data_dir):
    return data_dir / "scaling"


# Chinchilla, as digitised by Besiroglu et al. 2024


@pytest.fixture(scope="module")
def epoch(scaling):
    path = scaling / "epoch_chinchilla" / "svg_extracted_data.csv"
    return read_run_table(path, {"N": "Model Size", "C": "Training FLOP", "value": "loss"})


@pytest.mark.parametrize(
    ("objective", "highest", "published", "total"),
    [
        (
            "huber",
            5,
            {"A": 477.83, "B": 2143.4, "E": 1.81722, "alpha": 0.347310, "beta": 0.367172},
            1.01827403e-3,
        ),
        ("lad", 5, {"A": 482.01, "B": 2085.43, "E": 1.8172, "alpha": 0.3478, "beta": 0.3658}, None),
        ("huber", 0, {"A": 495.7, "B": 12846, "E": 1.8913, "alpha": 0.3493, "beta": 0.4530}, None),
    ],
)
def test_chinchilla_replication(epoch, objective, highest, published, total):
    found = fit(
        form_named("chinchilla"),
        epoch.inputs,
        epoch["value"],
        objective=objective,
        outliers=Outliers(highest=highest),
    )
    assert found.parameters == pytest.approx(published, rel=1e-3)
    assert len(found.y_N) == 245 - highest and found.agreeing >= 10
    if total:
        assert found.objective <= total * (1 + 1e-6)
        assert found.sound


def test_the_optimum_of_chinchilla(epoch):
    found = fit(form_named("chinchilla"), epoch.inputs, epoch["value"], outliers=Outliers(highest=5))
    best = compute_optimal(found, 5.76e23)
    assert best.a.value == pytest.approx(0.5139, abs=5e-5)
    assert best.N.value == pytest.approx(73.2e9, rel=1e-3) and best.tokens_per_parameter == pytest.approx(
        17.9, abs=0.05
    )


def test_hoffmanns_own_point_is_not_the_optimum(epoch):
    """The published coefficients, not rounded, on the same 240 runs; and what they recommend."""
    point = {
        "A": np.exp(6.0073404),
        "B": np.exp(6.0179186),
        "E": np.exp(0.5267228),
        "alpha": 0.33917084,
        "beta": 0.2849083,
    }
    form, keep = form_named("chinchilla"), Outliers(highest=5).kept(epoch.inputs, epoch["value"])
    runs = epoch.rows(keep)
    residuals = form.ln_prediction(point, runs.inputs) - np.log(runs["value"])
    assert Objective().total(residuals, np.ones(240)) == pytest.approx(1.23116e-3, rel=1e-4)
    size = float(form.optimal_size(point, 5.76e23))
    assert size == pytest.approx(40.4e9, rel=2e-3) and 5.76e23 / 6 / size**2 == pytest.approx(59, abs=0.5)


@pytest.mark.slow
def test_the_bootstrap_of_chinchilla(epoch):
    """Standard errors and intervals of the published 4,000 resamples; here 1,000."""
    found = fit(form_named("chinchilla"), epoch.inputs, epoch["value"], outliers=Outliers(highest=5))
    drawn = bootstrap(found, 1_000)
    spread = {name: float(sample.std()) for name, sample in drawn.samples.items()}
    assert spread == pytest.approx(
        {"A": 124.5, "B": 1293, "E": 0.0257, "alpha": 0.0154, "beta": 0.0206}, rel=0.25
    )
    for name, (low, high) in {"E": (1.769, 1.871), "alpha": (0.317, 0.373), "beta": (0.331, 0.415)}.items():
        interval = drawn.interval(name)
        assert (interval.low, interval.high) == pytest.approx((low, high), rel=0.02)


# Over-training, Gadre et al. 2024

SMALL = ("d=96", "d=512", "d=576", "d=1024")


@pytest.mark.parametrize(
    ("dataset", "law", "error_law", "errors"),
    [
        (
            "rpj",
            {"a": 212.2, "b": 366.7, "E": 1.8366, "eta": 0.27285 / 2},
            {"k": 2.2065, "gamma": 0.7146, "epsilon": 0.8570},
            {"1.4B": (0.7103, 3.6365), "6.9B": (0.7320, 0.0464)},
        ),
        (
            "c4_original",
            {"a": 141.3, "b": 189.5, "E": 1.5083, "eta": 0.24247 / 2},
            {"k": 2.0789, "gamma": 0.7561, "epsilon": 0.8497},
            {"1.4B": (1.4979, 9.5818), "6.9B": (4.2952, 0.1370)},
        ),
    ],
)
def test_over_training(scaling, dataset, law, error_law, errors):
    path = scaling / "overtraining" / "overtraining_c4_rpj.csv"
    runs = read_run_table(
        path,
        {"corpus": "dataset", "model": "model", "M": "M", "multiple": "cc_mult"},
        {"loss": "loss_c4_val", "error": "err_avg17"},
    ).where(corpus=dataset)
    small = np.array([model.startswith(SMALL) for model in runs["model"]])
    multiple, tiny = (
        runs["multiple"].astype(float),
        np.array([model.startswith("d=96") for model in runs["model"]]),
    )
    five = (small & (multiple == 1)) | (tiny & (multiple == 16))
    first = five | (np.array([model.startswith("open_lm_1b") for model in runs["model"]]) & (multiple == 1))

    loss, error = runs["metric"] == "loss", runs["metric"] == "error"
    fitted = runs.rows(five & loss)
    assert len(fitted) == 5
    inputs = {"N": fitted["N"], "M": fitted["M"].astype(float)}
    found = fit(form_named("over_training"), inputs, fitted["value"], objective="square")
    assert found.parameters == pytest.approx(law, rel=1e-2)
    assert found.parameters["eta"] == pytest.approx(law["eta"], abs=5e-4)
    assert {caution.code for caution in found.cautions} == {"few_runs"}

    six_loss, six_error = runs.rows(first & loss), runs.rows(first & error)
    assert len(six_loss) == len(six_error) == 6
    decay = fit(form_named("error_decay"), {"L": six_loss["value"]}, six_error["value"], objective="square")
    assert decay.parameters == pytest.approx(error_law, rel=1e-2)

    for name, (of_loss, of_error) in errors.items():
        large = {"1.4B": "open_lm_1b", "6.9B": "open_lm_7b"}[name]
        chosen = np.array([model.startswith(large) for model in runs["model"]])
        chosen &= runs["M"].astype(float) == (20 if name == "6.9B" else 640 if dataset == "rpj" else 80)
        actual_loss, actual_error = runs.rows(chosen & loss), runs.rows(chosen & error)
        assert len(actual_loss) == 1
        predicted = found.predict({"N": actual_loss["N"], "M": actual_loss["M"].astype(float)})
        relative = 100 * abs(predicted - actual_loss["value"]) / actual_loss["value"]
        assert relative[0] == pytest.approx(of_loss, abs=0.02)
        relative = 100 * abs(decay.predict({"L": predicted}) - actual_error["value"]) / actual_error["value"]
        assert relative[0] == pytest.approx(of_error, abs=0.02)
    assert to_chinchilla(found.parameters)["alpha"] == pytest.approx(2 * law["eta"], abs=1e-3)


# IsoFLOP curves, Porian et al. 2024

PATH = {
    "rw|base|long|kaplan|kaplan|train": 0.8353,
    "rw|base|long|kaplan|standard|val": 0.7065,
    "rw|base|short|kaplan|standard|val": 0.6020,
    "rw|base|short|chinchilla|standard|val": 0.5715,
    "rw|tuned|short|const|standard|val": 0.4969,
}


@pytest.fixture(scope="module")
def porian(scaling):
    import pyarrow.csv as csv

    names = ("isoflop_points", "published_optima", "published_exponents")
    folder = scaling / "porian_isoflop"
    tables = {name: csv.read_csv(folder / f"{name}_refinedweb.csv") for name in names}
    return {
        name: {
            column: np.array([nan_for(v) for v in table[column].to_pylist()]) for column in table.column_names
        }
        for name, table in tables.items()
    }


def nan_for(value):
    return np.nan if value is None else value


def test_weighted_exponents(porian):
    optima, published = porian["published_optima"], porian["published_exponents"]
    for setting, basic, weighted in zip(published["setting"], published["a_basic"], published["a_weighted"]):
        on = (optima["setting"] == setting) & np.isfinite(optima["n_star"])
        C, N, error = (optima[name][on] for name in ("flops", "n_star", "n_star_std"))
        found = power_exponent(C, N, error)
        assert found.exponent.value == pytest.approx(weighted, abs=1e-4)
        assert power_exponent(C, N).exponent.value == pytest.approx(basic, abs=1e-4)
        if setting in PATH:
            assert found.exponent.value == pytest.approx(PATH[setting], abs=1e-4)
    assert set(PATH) <= set(published["setting"])


def test_optima_of_isoflop_curves(porian):
    points, optima, published = (
        porian[n] for n in ("isoflop_points", "published_optima", "published_exponents")
    )
    same, count = 0, 0
    for setting, weighted in zip(published["setting"], published["a_weighted"]):
        on = points["setting"] == setting
        at = (optima["setting"] == setting) & np.isfinite(optima["n_star"])
        found = isoflop_optima(points["flops"][on], points["params"][on], points["loss"][on])
        stated = dict(zip(optima["flops"][at], optima["n_star"][at]))
        errors = dict(zip(optima["flops"][at], optima["n_star_std"][at]))
        shared = [k for k, C in enumerate(found.C_K) if C in stated]
        N = np.array([stated[found.C_K[k]] for k in shared])
        same += int((np.abs(np.log(found.N_K[shared] / N)) < 0.02).sum())
        count += len(shared)
        weights = np.array([errors[found.C_K[k]] for k in shared])
        exponent = power_exponent(found.C_K[shared], found.N_K[shared], weights).exponent.value
        assert exponent == pytest.approx(weighted, abs=0.005)
    assert same >= 0.95 * count


# Learning curves, Alabdulmohsin et al. 2022


@pytest.fixture(scope="module")
def curves(scaling):
    path = scaling / "nsl_benchmark" / "benchmark.lang.csv"
    columns = {
        "corpus": "Domain",
        "run": "Model",
        "x": "Seen Examples",
        "value": "Loss",
        "fit": "Training",
        "task": "Task",
    }
    table = read_run_table(path, columns)
    found = {}
    for domain, task, model in dict.fromkeys(zip(table["corpus"], table["task"], table["run"])):
        rows = table.rows((table["corpus"] == domain) & (table["task"] == task) & (table["run"] == model))
        x = rows["x"].astype(float)
        newest = np.array(sorted({value: row for row, value in enumerate(x.tolist())}.values()))
        found[domain, task, model] = (x[newest], rows["value"][newest], rows["fit"][newest] == 1)
    assert len(found) == 20
    return found


def errors_of(curves, form):
    found = {}
    for key, (x, y, train) in curves.items():
        found[key] = evaluate(form_named(form), {"x": x}, y, train=train, objective="log_square").ln_rmse
    return found


def by_domain(errors, domain):
    return [error for key, error in errors.items() if key[0] == domain]


def by_model(errors, names):
    return [next(error for key, error in errors.items() if key[2] == name) for name in names]


NMT = ("28 Enc, 6 Dec", "6 Enc, 28 Dec", "6 Enc, 6 Dec", "Dec-only", "TEnc-LSTM")
LM = ("1.07e+09", "1.34e+08", "1.68e+07", "2.62e+08", "4.53e+08")


def test_powers_without_offset_extrapolate(curves):
    errors = errors_of(curves, "power")
    assert by_model(errors, NMT) == pytest.approx([0.1708, 0.2340, 0.2619, 0.2520, 0.1899], abs=5.1e-5)
    assert by_model(errors, LM) == pytest.approx([0.0171, 0.0143, 0.0064, 0.0155, 0.0165], abs=5.1e-5)
    means = {"NMT": 0.22173, "LM": 0.01397, "BB": 0.01481}
    for domain, mean in means.items():
        assert np.mean(by_domain(errors, domain)) == pytest.approx(mean, abs=5.1e-6)


def test_powers_with_offset_extrapolate_better(curves):
    errors = errors_of(curves, "power_offset")
    assert by_model(errors, NMT) == pytest.approx([0.0636, 0.0661, 0.0561, 0.0376, 0.0174], abs=1e-3)
    assert by_model(errors, LM) == pytest.approx([0.0018, 0.0014, 0.0003, 0.0013, 0.0008], abs=1e-4)
    for domain, mean in {"NMT": 0.04816, "LM": 0.00113, "BB": 0.01002}.items():
        assert np.mean(by_domain(errors, domain)) == pytest.approx(mean, rel=0.02)
