"""For all tests: nothing that Hypothesis draws is timed, as the machine may be busy."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
