"""What all tests share: whether random cases are drawn anew.

``HYPOTHESIS_PROFILE=repeatable`` draws the same cases every time, so that a commit is judged alike wherever and whenever it
is judged; without it every run looks at new ones. No test is judged by the time that it takes: machines are shared.
"""

import os

from hypothesis import settings

settings.register_profile("anew", deadline=None)
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "anew"))
