"""What malicious clients do to a student, rule by rule: ``fedknot poison``."""
