"""Models with the habits of projects: their own save(), columns and receivers for an image."""
