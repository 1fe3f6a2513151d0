"""The detection report of a study: do its scores find what was planted in its variants?"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from scoring.files import atomic_file
from training.interventions.detection import SCHEMA, planted_detections
from training.studies.classification import ClassifierStudy

DETECTION = "detection.parquet"


def study_detections(study: ClassifierStudy, out: str | Path, *, k: int | None = None) -> pa.Table:
    """Every variant with planted rows by every score column made for it, also written to ``out/detection.parquet``.

    Call it after ``run_study`` or ``prepare``: scores that are not there are made. Columns are those of
    ``training.interventions.detection.SCHEMA``; a study without scores or planted rows gives no rows.
    """
    folder = Path(out)
    rows = []
    for name, variant in study.material().variants.items():
        table = study.tables(variant.examples, folder) if variant.planted else None
        if table is not None:
            rows += planted_detections(variant, table, k=k, variant=name)
    found = pa.Table.from_pylist(rows, schema=SCHEMA)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / DETECTION) as temporary:
        parquet.write_table(found, temporary)
    return found
