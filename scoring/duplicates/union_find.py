"""Connected components of rows that are linked one pair at a time."""

from __future__ import annotations


class UnionFind:
    """Components over whole numbers; the lowest number of a component is its root."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}

    def root(self, row: int) -> int:
        """The lowest row that this one is linked to, by any number of links."""
        root = row
        while (above := self.parent.get(root, root)) != root:
            root = above
        while row != root:
            self.parent[row], row = root, self.parent[row]
        return root

    def link(self, a: int, b: int) -> None:
        """Join the components of two rows."""
        low, high = sorted((self.root(a), self.root(b)))
        if low != high:
            self.parent[high] = low
