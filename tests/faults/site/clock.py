"""The clock of this process for Django, Celery and kombu. It may jump by minutes."""

import time
from datetime import timedelta

from django.utils import timezone
from kombu.asynchronous import timer

from tests.faults.orders import Orders

from .run import FOLDER, HOST

_orders = Orders(FOLDER / "orders")
_now = timezone.now


def offset():
    """Return the seconds by which the clock of this host is fast."""
    return _orders.offset(HOST)


if HOST != "harness":
    timezone.now = lambda: _now() + timedelta(seconds=offset())
    timer._time = lambda: time.time() + offset()
