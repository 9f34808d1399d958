"""The tests: one file per behaviour, parametrised over the entity types."""
