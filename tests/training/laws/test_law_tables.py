"""Tables of a law in a report."""

import numpy as np

from training.laws.analysis.law import LawOfCorpus
from training.laws.analysis.law_tables import parameters_listing
from training.laws.fit import fit
from training.laws.forms.power import power_offset
from training.laws.uncertainty.bootstrap import bootstrap


def test_a_bound_that_all_resamples_share_is_no_interval():
    """A floor of 0 (0 to 0) would read as one known exactly."""
    x = np.geomspace(1, 1e4, 12)
    y = (3 - 0.1 * np.log(x)) * np.exp(0.001 * np.random.default_rng(0).normal(size=12))
    found = fit(power_offset(), {"x": x}, y)
    drawn = bootstrap(found, 30)
    law = LawOfCorpus("", "loss", found, drawn, None, (), (), {"level": 0.95})
    cells = {row[0]: row[1] for row in parameters_listing(law).rows}
    assert found.at_bounds == ("e",) and not drawn.samples["e"].any()
    assert cells["e"] == "0, at its bound" and "to" in cells["c"]
