"""The built-in data set: 1,797 handwritten digits of 8x8 pixels that come with scikit-learn.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), test part.
"""

import numpy as np
import numpy.typing as npt

from scoring.data.contents import array_digests
from scoring.hashing import hash_ids

TRAIN_ROWS = 1200


def digits() -> dict[str, tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """Split name -> (images uint8 (N, 8, 8, 1), labels (N,)); "train" has 1,200 rows and "test" 597.

    The grey levels 0..16 of the source are spread over 0..255. Which split an image is in follows from the hash of
    its pixels, so it does not depend on the order of the source.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    images = ((data.images.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)[..., None]
    labels = np.asarray(data.target, dtype=np.int64)
    order = np.argsort(hash_ids([each.hex() for each in array_digests(images)]), kind="stable")
    parts = {"train": np.sort(order[:TRAIN_ROWS]), "test": np.sort(order[TRAIN_ROWS:])}
    return {name: (images[rows], labels[rows]) for name, rows in parts.items()}
