"""Runs in the store: entered by events, advanced by the interpreter, carried until they wait or end."""
