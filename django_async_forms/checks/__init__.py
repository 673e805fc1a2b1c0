"""System checks: each way to misconfigure the package, found before an upload is."""

# They register by being imported.
from . import engines, forms, models, settings, staging

__all__ = ["engines", "forms", "models", "settings", "staging"]
