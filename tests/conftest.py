"""What all tests share: whether random cases are drawn anew.

``HYPOTHESIS_PROFILE=repeatable`` draws the same cases every time, so that a commit is judged alike wherever and whenever it
is judged; without it every run looks at new ones.
"""

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
