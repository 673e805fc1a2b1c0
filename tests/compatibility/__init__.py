"""Other libraries, forms and views in projects: each is compared with a plain form."""
