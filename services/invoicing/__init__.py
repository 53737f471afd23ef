"""Invoicing: closed charges become bills with legal numbers, states and documents."""
