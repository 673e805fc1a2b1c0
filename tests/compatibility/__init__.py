"""What projects have besides Django: each library, form and view, compared with the plain form."""
