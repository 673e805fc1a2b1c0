"""System checks, which report a misconfiguration before an upload meets it."""

# Importing these modules registers their checks.
from . import engines, forms, models, settings, staging

__all__ = ["engines", "forms", "models", "settings", "staging"]
