"""Radicale: calendars and address books."""
