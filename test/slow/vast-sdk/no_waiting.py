"""A pytest plugin: caps sleeps. The SDK's tests sleep up to 5 minutes for a cluster's background work, which the emulator does not have."""

import time

LONGEST_SLEEP_SECONDS = 0.2
_sleep = time.sleep


def _short_sleep(seconds):
    _sleep(min(seconds, LONGEST_SLEEP_SECONDS))


time.sleep = _short_sleep
