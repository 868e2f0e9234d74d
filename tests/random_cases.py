"""How many random cases a property is tested with."""

import os


def case_count(count: int) -> int:
    """All of them; half where every run draws the same ones, which have been good before (see conftest)."""
    return max(1, count // 2) if os.environ.get("HYPOTHESIS_PROFILE") == "repeatable" else count
