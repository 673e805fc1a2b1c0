"""Signals for the end of an upload. Both are sent in the process that tried to save the image."""

from django.dispatch import Signal

#: Sent after the transaction that attached the image has committed, with ``instance``,
#: ``field_name``, ``upload``, and ``replaced``: the name that the field held before, or ``""``.
#: The sender is the instance's class.
image_saved = Signal()

#: Sent when the last attempt has failed, with ``instance`` (``None`` if it could not be loaded),
#: ``field_name`` and ``upload``, whose ``error`` says why. The sender is the instance's class.
image_failed = Signal()
