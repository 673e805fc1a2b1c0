"""The clock of this process's host, which may be minutes off: for Django, Celery and kombu."""

import os
import time
from datetime import timedelta

from django.utils import timezone
from kombu.asynchronous import timer

#: By how many seconds it is fast.
OFFSET = float(os.environ.get("FAULTS_CLOCK", 0))

if OFFSET:
    _now = timezone.now
    timezone.now = lambda: _now() + timedelta(seconds=OFFSET)
    timer._time = lambda: time.time() + OFFSET
