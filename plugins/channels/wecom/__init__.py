"""WeCom: welcomes, mass sends that a member confirms, and the sealed callbacks of both."""
