"""Photologue: docs/howto/photologue.rst."""
