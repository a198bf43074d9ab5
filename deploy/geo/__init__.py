"""Builds the index of H3 cells to countries that `shared.geo` ships."""
