"""Vectors without a model: hashed n-grams of a text, projected at random.

A text is the bag of its n-grams, each with weight 1 + ln(count). There is no inverse document frequency: it would have
to be fitted to a corpus, and the vector of a document would change with its neighbours. What it does, discounting words
that stand everywhere, is left to a list of English stop words, and to whoever centres the vectors.

The bag, which has a dimension for every possible n-gram, is multiplied by a sparse matrix of signs (Kane and Nelson
2014, arXiv:1012.1577, the block construction): the D coordinates are cut into 8 blocks, and an n-gram adds
+-1/sqrt(8) of its weight to one coordinate of each; which, and with what sign, are hashes of (seed, n-gram). So the
matrix is never there, nothing depends on the corpus, and inner products are kept without bias; the error of a cosine is
about 1/sqrt(D). The result is divided by its Euclidean norm.

How much D and n-grams matter: a logistic regression on the vectors of 2,000 posts of 20 Newsgroups names the group of
others in .56 of cases by default, .41 with ``dim=256``, .42 with ``ngrams=[1,2]``, whose many rare pairs crowd the
dimensions (chance: .05).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from scoring.corpus.documents import Documents
from scoring.embeddings.encoder import Encoded, check_one_of, check_whole
from scoring.errors import bad_value
from scoring.hashing import derive_seed, hash64

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

OWNER = "encoder 'hashed'"
ANALYZERS = ("word", "char", "char_wb")
STOP_WORDS = ("english", "none")
BLOCKS = 8
BUCKETS = 2**30
"""So many that different n-grams do not meet."""
DEFAULT_NGRAMS = {"word": (1, 1), "char": (3, 5), "char_wb": (3, 5)}


@dataclass(frozen=True)
class HashedEncoder:
    """Hashed n-grams, projected and of norm 1; a text without any n-gram is the zero vector. Reads whole texts.

    Attributes:
        dim: D.
        analyzer: ``word``: lower-cased runs of letters, digits and underscores; ``char``: lower-cased characters,
            blanks folded; ``char_wb``: the same, only inside of words. Scripts without blanks between words need
            characters.
        ngrams: Shortest and longest; by default single words, or 3 to 5 characters.
        stop_words: ``english`` leaves out the 318 words of scikit-learn's list before n-grams are made; of characters
            nothing is left out.
        seed: Of the projection.
    """

    dim: int = 512
    analyzer: str = "word"
    ngrams: tuple[int, int] | None = None
    stop_words: str = "english"
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("dim", OWNER, self.dim, BLOCKS)
        check_one_of("analyzer", OWNER, self.analyzer, ANALYZERS)
        check_one_of("stop_words", OWNER, self.stop_words, STOP_WORDS)
        check_whole("seed", OWNER, self.seed, 0)
        low, high = self._range()
        check_whole("ngrams", OWNER, low, 1)
        check_whole("ngrams", OWNER, high, low)

    def describe(self) -> dict[str, object]:
        """The options."""
        return {"encoder": "hashed", **asdict(self), "ngrams": list(self._range())}

    def encode(self, documents: Documents) -> Encoded:
        """Every text whole."""
        bags_BV = self._bags(documents.texts_B)
        vectors_BD = self._projected(bags_BV)
        norms_B1 = np.linalg.norm(vectors_BD, axis=1, keepdims=True)
        vectors_BD /= np.where(norms_B1 > 0, norms_B1, 1.0)
        terms_B = np.diff(bags_BV.indptr).astype(np.int64)
        return Encoded(
            torch.from_numpy(vectors_BD.astype(np.float32)),
            terms_B,
            np.zeros(len(documents), dtype=bool),
            flops=2.0 * BLOCKS * int(terms_B.sum()),
        )

    def _range(self) -> tuple[int, int]:
        if self.ngrams is None:
            return DEFAULT_NGRAMS[self.analyzer]
        if not isinstance(self.ngrams, list | tuple) or len(self.ngrams) != 2:
            raise bad_value("ngrams", OWNER, self.ngrams, "shortest and longest, as in [1,2]")
        return self.ngrams[0], self.ngrams[1]

    def _bags(self, texts_B: list[str]) -> csr_matrix:
        """1 + ln(count) of every n-gram of every text, (B, ``BUCKETS``), buckets in ascending order."""
        from sklearn.feature_extraction.text import HashingVectorizer

        words = self.analyzer == "word"
        vectorizer = HashingVectorizer(
            analyzer=self.analyzer,
            ngram_range=self._range(),
            stop_words="english" if words and self.stop_words == "english" else None,
            n_features=BUCKETS,
            alternate_sign=False,
            norm=None,
            **({"token_pattern": r"(?u)\b\w+\b"} if words else {}),
        )
        bags_BV: csr_matrix = vectorizer.transform(texts_B).tocsr()
        bags_BV.sum_duplicates()
        bags_BV.data = 1.0 + np.log(bags_BV.data)
        return bags_BV

    def _projected(self, bags_BV: csr_matrix) -> npt.NDArray[np.float64]:
        """(B, D); a row is summed in the order of its own buckets, so to the last bit it is that of the text."""
        from scipy.sparse import csr_matrix

        buckets_U, column_M = np.unique(bags_BV.indices, return_inverse=True)
        starts = np.arange(BLOCKS + 1) * self.dim // BLOCKS
        columns_UK = np.empty((len(buckets_U), BLOCKS), dtype=np.int64)
        signs_UK = np.empty((len(buckets_U), BLOCKS))
        for block in range(BLOCKS):
            hashes_U = hash64(derive_seed("hashed embeddings", self.seed, block), buckets_U)
            size = np.uint64(starts[block + 1] - starts[block])
            columns_UK[:, block] = starts[block] + ((hashes_U >> np.uint64(1)) % size).astype(np.int64)
            signs_UK[:, block] = 1.0 - 2.0 * (hashes_U & np.uint64(1)).astype(np.float64)
        ends_U = np.arange(len(buckets_U) + 1) * BLOCKS
        signs_UD = csr_matrix(
            (signs_UK.ravel() / np.sqrt(BLOCKS), columns_UK.ravel(), ends_U), shape=(len(buckets_U), self.dim)
        )
        bags_BU = csr_matrix(
            (bags_BV.data, column_M, bags_BV.indptr), shape=(bags_BV.shape[0], len(buckets_U))
        )
        vectors_BD: npt.NDArray[np.float64] = (bags_BU @ signs_UD).toarray()
        return vectors_BD
