"""Every benchmark, one process each; ``make bench``. Names on the command line choose some."""

from __future__ import annotations

import subprocess
import sys

BENCHMARKS = (
    "scoring_overhead", "length_buckets", "peak_memory", "label_errors", "finetune_hwu64", "gradient_norms",
    "gradient_scores_together", "vog_digits", "trak_lds", "influence_snli", "pvi_snli", "cscores_cifar10",
    "selection_effects", "sst2_dedup", "exact_topk", "facility_location", "dedup", "engine_overhead",
    "compare_digits", "compare_cifar10", "compare_hwu64", "compare_speed", "compare_memory", "chinchilla_fit",
    "extrapolation_intervals", "scaling_sweep", "corpus_study", "dclm_quality", "density_sketch", "advice",
    "production_table", "online_selection", "optimizer_scores", "augmentation_hausa", "augmentation_redundant",
    "digits_tables", "cifar10_pruning",
)  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:] or BENCHMARKS:
        if name not in BENCHMARKS:
            sys.exit(f"benchmarks: name must be one of {', '.join(BENCHMARKS)}, got {name!r}.")
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=True)
