"""Situations in projects: each ends as with a plain form."""
