"""Keeps house: kicks the release, puts back what was lost, clears away the dead, forgets what is over, measures."""
