"""Adopting what rating had decided since a backup: usages and their charges, re-ratings, thresholds and cuts.

Rating's answers are not a function of its input alone. Which charge counts a usage depends on whether a cut came first, and what a
cut charges depends on what was known by then. So the published answers are taken over as they are, before anything is read again.
"""

from services.rating.adoption.rating_adoption import RatingAdoption

__all__ = ["RatingAdoption"]
