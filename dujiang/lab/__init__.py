"""For partners: a difficult sender that tries a receiver, and a receiver to look at deliveries with. Neither needs services."""
