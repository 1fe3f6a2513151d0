"""A law that was saved and read again predicts to the last bit as before, and a damaged file says so."""

import json

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs

from scoring.errors import InputError
from training.laws.catalog import FORMS, form_named, form_of
from training.laws.fit import Outliers, fit
from training.laws.form import Form, Parameter
from training.laws.forms.custom import custom
from training.laws.law_file import load_law, save_law
from training.laws.optimal import compute_optimal
from training.laws.uncertainty.bootstrap import bootstrap


def law_of(form, name="chinchilla", **options):
    inputs = world_inputs(name, 40)
    y = np.exp(form_named(name).ln_prediction(PLANTED[name], inputs))
    y = y * np.exp(np.random.default_rng(0).normal(0, 0.01, 40))
    return fit(form, inputs, y, starts=8, **options)


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (form_named("chinchilla"), "chinchilla"),
        (form_named("chinchilla").tied(beta="alpha").frozen(E=1.8).bounded(alpha=(0.1, 0.9)), "chinchilla"),
        (form_named("broken_power", breaks=2), "broken_power"),
        (form_of("E + A / N^0.35 + B / D^0.37", ["N", "D", "C"]), "chinchilla"),
        (custom("a * x + b", ["x"], [Parameter("b", scale="linear", low=-9.0)]), "shifted_power"),
    ],
)
def test_a_law_comes_back_as_it_was(form, name, tmp_path):
    law = law_of(form, name, outliers=Outliers(highest=2))
    resampled = bootstrap(law, 20)
    path = save_law(tmp_path / "law.json", law, resampled, {"metric": "loss"})
    back = load_law(path)
    new = {key: column * 1.7 for key, column in law.inputs.items()}
    assert back.fitted.parameters == law.parameters and back.about == {"metric": "loss"}
    assert back.fitted.cautions == law.cautions and back.fitted.outliers == law.outliers
    np.testing.assert_array_equal(back.fitted.predict(new), law.predict(new))
    np.testing.assert_array_equal(back.fitted.residuals_N, law.residuals_N)
    for ours, theirs in zip(back.resampled.predict(new), resampled.predict(new)):
        np.testing.assert_array_equal(ours, theirs)
    again = save_law(tmp_path / "again.json", back.fitted, back.resampled, back.about)
    assert again.read_bytes() == path.read_bytes()


def test_a_law_read_again_can_be_used(tmp_path):
    law = law_of(form_named("chinchilla"))
    save_law(tmp_path / "law.json", law)
    back = load_law(tmp_path)
    assert back.resampled is None
    assert compute_optimal(back.fitted, 1e21).N == compute_optimal(law, 1e21).N
    np.testing.assert_array_equal(bootstrap(back.fitted, 5).theta_BP, bootstrap(law, 5).theta_BP)


def test_files_that_are_no_laws_are_refused(tmp_path):
    law = law_of(form_named("chinchilla"))
    path = save_law(tmp_path / "law.json", law)
    document = json.loads(path.read_text())
    for change, sentence in (
        ({"kind": "comparison"}, "got a file of comparison"),
        ({"format": 99}, "this version reads 1"),
        ({"runs": {}}, "damaged"),
        (
            {"form": {**document["form"], "recipe": {"name": "chinchila", "options": {}}}},
            "form must be one of",
        ),
    ):
        path.write_text(json.dumps({**document, **change}))
        with pytest.raises(InputError, match=sentence):
            load_law(path)
    path.write_text("{")
    with pytest.raises(InputError, match="damaged"):
        load_law(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        load_law(tmp_path / "nothing.json")
    path.unlink()
    with pytest.raises(InputError, match=r"must hold one law\.json, got none"):
        load_law(tmp_path)


def test_a_form_built_in_python_cannot_be_saved(tmp_path):
    form = Form("mine", ("x",), (Parameter("c", starts=(0.9,)),), lambda p, x: p.ln_c + 0 * x.x)
    law = fit(form, {"x": np.arange(1.0, 9)}, np.arange(1.0, 9))
    with pytest.raises(InputError, match="cannot be saved"):
        save_law(tmp_path / "law.json", law)


def test_laws_as_people_write_them():
    assert form_of("broken_power(breaks=2)", ["x"]).name == "broken_power_2"
    assert form_of("a * N^-b + c", ["N", "D"]).inputs == ("N",)
    for name in FORMS:
        if name not in ("mixture",):
            assert form_of(name, []).recipe["name"] == name
    with pytest.raises(InputError, match="Did you mean 'chinchilla'"):
        form_of("chinchila", ["N", "D"])
    with pytest.raises(InputError, match="names none of the columns N, D"):
        form_of("a * x", ["N", "D"])
    with pytest.raises(InputError, match="broken_power"):
        form_of("broken_power(brakes=2)", ["x"])
