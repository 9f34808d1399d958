"""OpenID Connect: tokens of another issuer, and browsers that sign in there."""
