"""page image -> page analysis: one call of the vision model a page."""
