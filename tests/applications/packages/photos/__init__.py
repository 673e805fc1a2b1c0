"""Photos in an admin of Unfold, with import and export, and with translated titles."""
