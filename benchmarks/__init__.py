"""One script per question; one harness; losing results are shown too."""
