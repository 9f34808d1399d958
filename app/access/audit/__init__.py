"""The audit: what is noted of access and of the installation, and how it is written."""
