"""Do the scores find what was planted: the detection report of a study, in words."""

from __future__ import annotations

from pathlib import Path

from pyarrow import parquet

from scoring.reports.section import Listing, Section
from training.studies.detection import DETECTION


def detection_section(folder: Path) -> Section | None:
    """From detection.parquet; None where there is none, or nothing was planted."""
    path = folder / DETECTION
    rows = parquet.ParquetFile(path).read().to_pylist() if path.is_file() else []
    if not rows:
        return None
    header = ["variant", "planted by", "score", "AUROC", "AP", "precision at k", "k", "by chance"]
    listing = [
        [
            row["variant"], row["intervention"], row["score"],
            (row["auroc"], row["auroc_low"], row["auroc_high"]), row["average_precision"], row["precision_at_k"],
            row["k"], row["chance"],
        ]
        for row in rows
    ]  # fmt: skip
    said = [f"{row['variant']}, {row['intervention']}: {row['verdict']}" for row in rows]
    return Section(
        "detection",
        "Do the scores find what was planted?",
        said,
        [Listing(header, listing)],
        document={"rows": rows},
    )
