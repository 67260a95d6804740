"""The three experts of the rule-based director: what the recording, the portrait and the user's words say."""
