"""
Runs the pages of applications, such as Wagtail, with the applications themselves.

``tests/applications/run`` makes an environment for each. ``tests/run`` has none of them, so the
files here are not named as pytest's tests are.
"""
