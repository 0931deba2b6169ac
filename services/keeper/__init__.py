"""Keeps house: kicks the release, counts the splitters, clears away the dead, measures the streams."""
