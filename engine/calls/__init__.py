"""Calls of plugins' actions: wished by runs, made after the commit, repeated where that does no harm."""
