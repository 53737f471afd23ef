"""Operations: bill runs over all accounts of a cycle, and where each of them stands."""
