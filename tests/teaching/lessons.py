"""Two lessons that the interactive page is tried on."""

from __future__ import annotations

import numpy as np

from mr_als.teaching.lesson import Lesson
from mr_als.teaching.matrix import EXAMPLE, EXAMPLE_FACTORS, UtilityMatrix

LESSON = Lesson(EXAMPLE, EXAMPLE_FACTORS)
# long names, counts of two bytes and a fraction, rank 3, and a side of which one block may be empty
OTHER = Lesson(
    UtilityMatrix(
        ("ann", "a listener with a long name", "<b>"),
        ("one", "two & more", "drei\u00df\u00e9", "four"),
        np.array([[300, 0, 1, 2], [0, 2.5, 0, 1], [1, 0, 70000, 0]], float),
    ),
    np.array([[0.1, 0.5, -0.3], [0.4, -0.2, 0.9], [-0.7, 0.3, 0.2], [0.6, 0.8, -0.1]]),
    alpha=0.4,
    regularization=0.7,
)
LESSONS = {"example": LESSON, "other": OTHER}
