"""The deployment in docs/deploy: its files agree, and its processes work on separate hosts."""
