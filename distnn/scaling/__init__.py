"""Predictions of the step time on more ranks than were started: models of computing and communicating."""
