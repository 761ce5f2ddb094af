"""The schema's history, in order; a migration that was published is never changed."""
