"""Who contacts are: identities, the profile that events keep current, the consent ledger."""
