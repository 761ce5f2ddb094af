"""Journeys in virtual time: the same interpreter, matching and gate over memory instead of a database."""
