"""The photos, which each tenant has in its own schema."""
