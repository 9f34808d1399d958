"""What the tests share: databases, a running service, and bodies made from declarations."""
