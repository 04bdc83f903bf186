"""What an event costs as keys, history, partitions and steps grow; and where more workers end."""
