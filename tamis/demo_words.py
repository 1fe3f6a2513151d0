"""What the demo says in plain words: every sentence is made from the numbers that were measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tamis.demo import CLEAN, NOISY

if TYPE_CHECKING:
    from scoring.compare.reliability.single_runs import Reliability
    from tamis.demo import Findings
    from training.studies.outcomes import Outcome

Section = tuple[str, list[str]]


def sections(findings: Findings, folder: str) -> list[Section]:
    """The summary in plain words; ``folder`` is where the files are."""
    return [
        ("Would another run say the same?", _about_reliability(findings)),
        ("Do the scores find the wrong labels?", _about_detection(findings)),
        ("What if only a part is kept?", _about_pruning(findings)),
        ("Where hardest-first fails", _about_failures(findings, folder)),
    ]


def _about_reliability(findings: Findings) -> list[str]:
    ranked = [each for each in findings.reliability if not math.isnan(each.rho)]
    flat = [each.name for each in findings.reliability if math.isnan(each.rho)]
    tied = [each.name for each in ranked if each.of_mean(2) is None]
    fine = [each for each in ranked if each.name not in tied]
    mine = next((each for each in ranked if each.name == findings.recipe.by), None)
    lines = []
    if fine:
        best, worst = fine[0], fine[-1]
        lines.append(
            f"Two runs that differ only in their seed rank the digits most alike by {best.name} "
            f"(Spearman {best.rho:.2f}) and least alike by {worst.name} ({worst.rho:.2f})."
        )
    if mine is not None:
        lines.append(_about_selecting_score(mine, findings))
    if tied:
        lines.append(
            f"Left out of this: {listed(tied)}, by which most digits have the same value as another digit; from one "
            "run they cannot rank."
        )
    if flat:
        lines.append(f"{listed(flat)} gave all digits the same value in single runs, so nothing can be said.")
    return lines


def _about_selecting_score(mine: Reliability, findings: Findings) -> str:
    runs = len(findings.recipe.seeds)
    predicted = mine.of_mean(runs)
    more = (
        "" if predicted is None else f"; a mean over {runs} runs, as used here, should reach {predicted:.2f}"
    )
    return (
        f"{mine.name}, which selects below, reaches {mine.rho:.2f} from one run{more}. Two runs share "
        f"{percent(mine.overlap)} of their hardest {percent(mine.keep)} ({percent(mine.keep)} by chance)."
    )


def _about_detection(findings: Findings) -> list[str]:
    found = findings.detection
    share = findings.flipped / findings.rows
    lines = [
        f"{findings.flipped:,} of {findings.rows:,} labels ({percent(share)}) were changed to a random other class."
    ]
    wanted = [found[0].name, findings.recipe.by, "loss", "entropy"]
    shown = {each.name: each for each in found if each.name in wanted}
    lines += [shown[name].verdict for name in dict.fromkeys(wanted) if name in shown]
    nearly = [each.name for each in found if each.judgement == "finds nearly all of"]
    lines.append(f"{len(nearly)} of {len(found)} scores find nearly all of it (AUROC 0.99 or more).")
    for judgement, words in (
        ("barely finds", "Barely find it"),
        ("does not find", "Do not find it"),
        ("points away from", "Point away from it"),
    ):
        names = [f"{each.name} ({each.auroc:.2f})" for each in found if each.judgement == judgement]
        if names:
            lines.append(f"{words}: {listed(names)}.")
    return lines


def _about_pruning(findings: Findings) -> list[str]:
    lines = []
    for name, title in titles(findings).items():
        [full] = [each for each in findings.outcomes[name] if each.take == "all"]
        parts = []
        for keep in findings.recipe.keeps:
            hard, random = (outcome(findings, name, take, keep) for take in ("hardest", "random"))
            parts.append(f"{percent(keep)}: {points(hard)} against {points(random)} ({hard.verdict})")
        lines.append(
            f"{title.capitalize()}: the hardest against a random part of the same size, % of test digits right: "
            f"{'; '.join(parts)}. All digits: {points(full)}."
        )
    seeds = len(findings.recipe.retrain_seeds)
    lines.append(
        f"Every run took {findings.recipe.steps:,} steps. The verdict is 'cannot tell' unless the 95 % interval of the "
        f"difference over {seeds} paired seeds excludes zero."
    )
    return lines


def _about_failures(findings: Findings, folder: str) -> list[str]:
    lines = []
    for name, title in titles(findings).items():
        hardest = [outcome(findings, name, "hardest", keep) for keep in findings.recipe.keeps]
        worse = [each for each in hardest if each.verdict == "worse"]
        better = [each for each in hardest if each.verdict == "better"]
        if not worse:
            lines.append(f"{title.capitalize()}: at no share tried is it measurably worse than random.")
            continue
        deepest = min(worse, key=lambda each: each.against_random.mean if each.against_random else 0.0)
        assert deepest.against_random is not None
        gain = f" It is better at {listed([percent(e.keep) for e in better])}." if better else ""
        where = f" at {percent(deepest.keep)}" if len(worse) > 1 else ""
        lines.append(
            f"{title.capitalize()}: it is worse than random at {listed([percent(e.keep) for e in worse])}, by "
            f"{-100 * deepest.against_random.mean:.0f} points{where}.{gain}"
        )
    kept = [f"{share:.0%} of the hardest {percent(keep)}" for keep, share in findings.flips_kept.items()]
    base = percent(findings.flipped / findings.rows)
    lines.append(f"What is kept then: wrong labels are {base} of all, {listed(kept)}.")
    lines.append(
        "So look at the most suspect examples before you keep the hardest: "
        f"tamis show {folder}/scores-noisy.parquet --by {findings.recipe.by} --top 5 --data digits"
    )
    return lines


def titles(findings: Findings) -> dict[str, str]:
    """Data set -> what it is called."""
    return {CLEAN: "clean labels", NOISY: f"{percent(findings.recipe.flip)} of the labels wrong"}


def outcome(findings: Findings, data: str, take: str, keep: float) -> Outcome:
    """The result of one way of choosing."""
    mine = [each for each in findings.outcomes[data] if each.take == take]
    return min(mine, key=lambda each: abs(each.keep - keep))


def accuracy(each: Outcome) -> str:
    """Mean and standard deviation, ``0.971 ± 0.001``."""
    return f"{each.mean:.3f} ± {each.sd:.3f}" if not math.isnan(each.sd) else f"{each.mean:.3f}"


def points(each: Outcome) -> str:
    """Mean in percent, ``97.1``."""
    return f"{100 * each.mean:.1f}"


def percent(share: float) -> str:
    """``0.3`` as ``30%``."""
    return f"{100 * share:.3g}%"


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
