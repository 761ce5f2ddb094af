"""YAML text to models, with every value's place: what cannot be read is answered in an operator's words."""
