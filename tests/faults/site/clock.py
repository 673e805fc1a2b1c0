"""The clock of this process for Django, Celery and kombu. It may be wrong by minutes."""

import os
import time
from datetime import timedelta

from django.utils import timezone
from kombu.asynchronous import timer

#: The seconds by which the clock is fast.
OFFSET = float(os.environ.get("FAULTS_CLOCK", 0))

if OFFSET:
    _now = timezone.now
    timezone.now = lambda: _now() + timedelta(seconds=OFFSET)
    timer._time = lambda: time.time() + OFFSET
