"""Laws of learning-rate annealing term by term, as their papers print them; and the recorded curves."""

import numpy as np

NAMES = ["L0", "A", "alpha", "B", "C", "beta", "gamma"]
PUBLISHED = {
    25: [3.04045406, 0.52468604, 0.50786857, 363.78751622, 2.06560812, 0.58279013, 0.64142257],
    100: [2.6514477, 0.60115152, 0.45295811, 437.9464276, 2.13245612, 0.59785199, 0.65523644],
}
TRAIN = ("cosine_24000", "constant_24000", "wsdcon_9")
TEST = (
    "constant_72000",
    "cosine_72000",
    "wsd_20000_24000",
    "wsdcon_18",
    "wsdcon_3",
    "wsdld_20000_24000",
)


def multi_power(p, lr, steps):
    """The whole sum over k for every step."""
    S1, found = np.cumsum(lr), []
    for t in steps:
        total = 0.0
        for k in range(1, t + 1):
            if lr[k] != lr[k - 1]:
                x = p["C"] * lr[k] ** -p["gamma"] * (S1[t] - S1[k - 1])
                total += (lr[k] - lr[k - 1]) * (1 - (1 + x) ** -p["beta"])
        found.append(p["L0"] + p["A"] * S1[t] ** -p["alpha"] + p["B"] * total)
    return np.array(found)


def S2(lr, decay, warmup, t):
    """The double sum up to step t, over falls after the warm-up."""
    return sum(
        (lr[k - 1] - lr[k]) * decay ** (i - k) for i in range(1, t + 1) for k in range(max(1, warmup), i + 1)
    )


def recorded_rows(folder, size, name):
    """step, lr, loss of a recorded curve, without the records at or after the end of its schedule."""
    table = np.genfromtxt(folder / f"csv_{size}" / f"{name}.csv", delimiter=",", skip_header=1)
    return table[table[:, 0] < length(name)].T


def length(name):
    return 16_000 if name.startswith("wsdcon") else int(name.split("_")[-1])


def formula(name):
    """The rates of a recorded curve from its name: warm-up 2,160 steps from 0, peak 3e-4, end 3e-5."""
    kind, *numbers = name.split("_")
    total, t = length(name), np.arange(length(name))
    lr = np.full(total, 3e-4)
    if kind == "cosine":
        lr = 3e-5 + 0.5 * (3e-4 - 3e-5) * (1 + np.cos(np.pi * (t - 2160) / (total - 2160)))
    elif kind == "wsdcon":
        lr[8000:] = int(numbers[0]) * 1e-5
    elif kind != "constant":
        begin = int(numbers[0])
        done = (t[begin:] - begin) / (total - begin)
        lr[begin:] = 3e-4 * 0.1**done if kind == "wsd" else 3e-4 + (3e-5 - 3e-4) * done
    lr[:2160] = np.linspace(0, 3e-4, 2160)
    return lr
