"""The demo: a public data set of real telephone traffic, turned into calls, billed by the running stack and compared.

Pure: `churn` reads the data set, `states` knows the zones, `numbers` the telephone numbers, `mediation` makes the calls, `comparison`
holds bills against published charges. At the edge: `onboarding` talks HTTP, `replay` talks Kafka, `show` tells them when.
"""
