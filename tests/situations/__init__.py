"""Situations that projects get into with a form: each ends as it would with a plain one."""
