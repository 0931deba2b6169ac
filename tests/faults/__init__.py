"""Faults at named points of the services, and the verdict on what they left behind."""
