"""For all tests: no telemetry, no network, before any of them loads TRL; and nothing that Hypothesis draws is timed."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
