"""What wrong credentials cost: they are counted, throttled, and looked up together."""
