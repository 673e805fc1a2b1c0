"""A project whose messages are tasks of Django in a table, as ``docs/tasks.rst`` writes it."""
