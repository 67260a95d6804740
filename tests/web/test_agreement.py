"""Fleiss' kappa as in his paper's kind of table."""

import pytest

from avatar_jax.web.agreement import fleiss_kappa

TABLE = [
    (0, 0, 0, 0, 14),
    (0, 2, 6, 4, 2),
    (0, 0, 3, 5, 6),
    (0, 3, 9, 2, 0),
    (2, 2, 8, 1, 1),
    (7, 7, 0, 0, 0),
    (3, 2, 6, 3, 0),
    (2, 5, 3, 2, 2),
    (6, 5, 2, 1, 0),
    (0, 2, 2, 3, 7),
]
"""Ten subjects, fourteen raters, five categories: a textbook table whose kappa is 0.210."""


def test_fleiss_by_the_textbook() -> None:
    items = [[str(kind) for kind, count in enumerate(row) for _ in range(count)] for row in TABLE]
    assert fleiss_kappa(items) == pytest.approx(0.210, abs=5e-4)
    # One more subject that only one person saw says nothing about agreement.
    assert fleiss_kappa([*items, ["0"]]) == fleiss_kappa(items)


def test_fleiss_at_the_edge() -> None:
    assert fleiss_kappa([["a", "a"], ["b", "b", "b"]]) == 1
    assert fleiss_kappa([]) is None and fleiss_kappa([["a"]]) is None and fleiss_kappa([["a", "a"]]) is None
