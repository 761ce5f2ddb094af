"""From definitions that fit together to the bundle: programs, rules, patterns, counts, plans."""
