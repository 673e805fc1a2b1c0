"""Models with the habits that projects have: what their own save() and columns do with an image."""
